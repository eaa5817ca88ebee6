"""A handler's signature is its schema: read once at import, bound to each request.

    async def rename(call: Call, conversation_id: int, body: wire.Rename) -> wire.Done

Parameters named in the path come from it (`int`, `Uuid` or `str`), `body` is decoded to its struct,
keyword-only parameters are the query's. The return annotation is the answer's shape, `None` one
without a body (204); a handler that answers with something else than JSON returns a `Response`.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, NewType, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import Response

from palaver.domain.errors import Fault, FieldFault, InvalidInput, NotFound
from palaver.kit.ids import parse_uuid
from palaver.web.bodies import INT64_MAX, NUL, explain
from palaver.web.call import Call
from palaver.web.uploads import Form

Uuid = NewType("Uuid", str)
"""A path parameter in the canonical 36-character form (RFC 9562)."""

MISSING = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class QueryParameter:
    """One parameter of the query string, with its name there, type and default."""

    name: str
    type: Any  # of what is given: a query string cannot say null
    default: Any


@dataclass(frozen=True, slots=True)
class Signature:
    """What a handler takes and gives."""

    handler: Callable[..., Awaitable[Any]]
    path: tuple[tuple[str, Any], ...]  # in the order of the template
    query: tuple[QueryParameter, ...]
    body: Any | None  # as JSON
    form: type[Form] | None  # as `multipart/form-data`
    answer: Any

    @property
    def answers_json(self) -> bool:
        """Tell whether the answer is a shape, and no response of its own kind."""
        return not (isinstance(self.answer, type) and issubclass(self.answer, Response))

    @property
    def takes_body(self) -> bool:
        """Tell whether it takes a body, of whatever form."""
        return self.body is not None or self.form is not None

    async def call(self, call: Call, values: list[str], body: Any) -> Any:
        """Run the handler; raises `InvalidInput` for the query, `NotFound` for the path."""
        arguments: dict[str, Any] = {}
        if self.query:
            self._read_query(call.request.scope["query_string"], arguments)
        if self.takes_body:
            arguments["body"] = body
        for (name, kind), value in zip(self.path, values, strict=True):
            arguments[name] = _path_value(name, kind, value)
        return await self.handler(call, **arguments)

    def _read_query(self, query_string: bytes, arguments: dict[str, Any]) -> None:
        if not query_string:
            return
        given = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
        faults: list[FieldFault] = []
        for parameter in self.query:
            if (text := given.get(parameter.name)) is None:
                continue
            path = ("query", parameter.name)
            if "\0" in text:
                faults.append(FieldFault(path, Fault.NOT_ALLOWED, NUL))
            elif wrong := explain(text, parameter.type, path, strict=False):
                faults += wrong
            else:
                value = msgspec.convert(text, parameter.type, strict=False)
                if _is_lax(text, value):
                    faults.append(FieldFault(path, Fault.WRONG_FORMAT, "Write this out."))
                arguments[parameter.name] = value
        if faults:
            raise InvalidInput(faults)


def _is_lax(text: str, value: Any) -> bool:
    """Tell whether the decoder was kinder than we are: `1.0` is no integer, `1` is no time."""
    if isinstance(value, int) and not isinstance(value, bool):
        return not text.removeprefix("-").isdecimal()
    return isinstance(value, datetime) and text.lstrip("-").replace(".", "", 1).isdecimal()


def _bodies(hint: Any) -> tuple[Any | None, type[Form] | None]:
    """Tell the shape of JSON from the form of an upload, where a body may be either."""
    kinds = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    forms = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Form)]
    others = [kind for kind in kinds if kind not in forms]
    return (reduce(or_, others) if others else None), (forms[0] if forms else None)


def _without_null(type_: Any) -> Any:
    if get_origin(type_) is Annotated:
        return type_
    origin = get_origin(type_)
    kinds = get_args(type_) if origin is Union or origin is UnionType else (type_,)
    return reduce(or_, [kind for kind in kinds if kind is not NoneType])


def _path_value(name: str, kind: Any, value: str) -> Any:
    noun = name.removesuffix("_id")
    if kind is int:
        if not (value.isascii() and value.isdigit() and len(value) <= 19):
            raise NotFound(noun)
        number = int(value)
        if number > INT64_MAX:
            raise NotFound(noun)
        return number
    if kind is Uuid:
        if (uuid := parse_uuid(value)) is None:
            raise NotFound(noun)
        return uuid
    if "\0" in value:
        raise NotFound(noun)
    return value


def signature_of(handler: Callable[..., Any], template: str) -> Signature:
    """Read a handler's signature; raises `TypeError` where it does not fit its path."""
    hints = get_type_hints(handler, include_extras=True)
    parameters = inspect.signature(handler).parameters
    in_path = [part[1:-1] for part in template.split("/") if part.startswith("{")]
    if missing := [name for name in in_path if name not in parameters]:
        raise TypeError(f"{handler.__qualname__} lacks {missing} of {template}")
    query = []
    for name, parameter in parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            if name not in {"call", "body", *in_path}:
                raise TypeError(f"{handler.__qualname__}: {name} is not in {template}")
        elif parameter.default is MISSING:
            raise TypeError(f"{handler.__qualname__}: query parameter {name} wants a default")
        else:
            query.append(QueryParameter(name, _without_null(hints[name]), parameter.default))
    body, form = _bodies(hints.get("body"))
    return Signature(
        handler=handler,
        path=tuple((name, hints[name]) for name in in_path),
        query=tuple(query),
        body=body,
        form=form,
        answer=hints["return"],
    )
