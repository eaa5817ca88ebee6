"""A contract's OpenAPI 3.1 document, made from its table and its handlers' signatures."""

import inspect
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, reduce
from http import HTTPStatus
from operator import or_
from types import NoneType, UnionType
from typing import Any, Final, TypeAlias, Union, get_args, get_origin

import msgspec
from starlette.responses import Response

from palaver.web.app import Row, rows_of
from palaver.web.binding import QueryParameter, Uuid
from palaver.web.bodies import FORM, MULTIPART
from palaver.web.call import SESSION_COOKIE
from palaver.web.endpoint import Access, Dialect
from palaver.web.idempotency import KEY_MAX_LENGTH
from palaver.web.streams import EventStream

Node: TypeAlias = dict[str, Any]

_JSON: Final = "application/json"
_REFERENCE: Final = "#/components/schemas/{name}"
_CITATION: Final = re.compile(r'\s*(?:Contract: "([^"]+)"|Beyond the document)\.?')
_ALWAYS: Final = (500, 503)
_RETRY: Final = frozenset({429, 503})

_SECURITY_SCHEMES: Final[Node] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "The value of the cookie `csrftoken`; asked of the session cookie only.",
    },
}
_IDEMPOTENCY_KEY: Final[Node] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same request, sent again with it within a day, gets the first answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_MAX_LENGTH},
}


@cache
def document(dialect: Dialect, *, version: str) -> bytes:
    """Return the document of a contract as JSON text; it is made once."""
    return msgspec.json.format(msgspec.json.encode(describe(dialect, version=version)), indent=2)


def is_documented(dialect: Dialect) -> bool:
    """Tell whether a contract has anything to document."""
    return any(endpoint.is_documented for endpoint in dialect.endpoints)


def describe(dialect: Dialect, *, version: str) -> Node:
    """Return the document of a contract."""
    rows = [row for row in rows_of((dialect,)) if row.endpoint.is_documented]
    schemas = _Schemas(rows)
    names = _operation_ids(rows)
    paths: Node = {}
    for row, name in zip(rows, names, strict=True):
        operation = _operation(row, name, schemas)
        paths.setdefault(row.endpoint.path, {})[row.endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": dialect.title,
            "version": version,
            "description": dialect.description,
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(map(_tag, rows))],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": _failures(dialect, schemas),
            "headers": _HEADERS | _own_headers(dialect),
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


class _Schemas:
    """The JSON Schemas of all shapes of a contract, each structure under its own name."""

    def __init__(self, rows: Sequence[Row]) -> None:
        types = [type_ for row in rows for type_ in _types_of(row)]
        nodes, self.components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
        self._types, self._nodes = types, nodes

    def of(self, type_: Any) -> Node:
        """Return the schema of one of the rows' types."""
        return dict(self._nodes[self._types.index(type_)])

    def content(self, type_: Any) -> Node:
        """Return what a body of this type is."""
        return {_JSON: {"schema": self.of(type_)}}


def _types_of(row: Row) -> Iterator[Any]:
    yield from (parameter.type for parameter in row.signature.query)
    if row.signature.body is not None:
        yield row.signature.body
    if row.signature.form is not None:
        yield row.signature.form
    yield from _json_answers(row)
    yield from row.endpoint.events
    yield from row.endpoint.answers.values()
    yield from row.dialect.error_shapes.values()


def _operation(row: Row, name: str, schemas: _Schemas) -> Node:
    endpoint, signature = row.endpoint, row.signature
    summary, description = _words(signature.handler)
    operation: Node = {
        "operationId": name,
        "summary": summary,
        "tags": [_tag(row)],
        "parameters": [*_path_parameters(row), *_query_parameters(row, schemas)],
        "responses": {**_success(row, schemas), **_refusals(row), **_others(row, schemas)},
        "security": _security(row),
    }
    if description:
        operation["description"] = description
    if _is_keyed(row):
        operation["parameters"].append(_IDEMPOTENCY_KEY)
    if signature.takes_body:
        content = {} if signature.body is None else schemas.content(signature.body)
        if endpoint.takes_form:
            content[FORM] = content[_JSON]
        if signature.form is not None:
            content[MULTIPART] = {"schema": schemas.of(signature.form)}
        shape: Any = signature.form if signature.body is None else signature.body
        required = any(field.required for field in msgspec.structs.fields(shape))
        operation["requestBody"] = {"required": required, "content": content}
    return operation


def _path_parameters(row: Row) -> Iterator[Node]:
    for name, type_ in row.signature.path:
        schema: Node = {"type": "integer"} if type_ is int else {"type": "string"}
        if type_ is Uuid:
            schema["format"] = "uuid"
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(row: Row, schemas: _Schemas) -> Iterator[Node]:
    for parameter in row.signature.query:
        schema = schemas.of(parameter.type)
        default = _default(parameter)
        # A default that the schema refuses stands for nothing: the parameter has to be there.
        is_required = default == "" and "minLength" in schema
        if default is not None and not is_required:
            schema["default"] = default
        yield {"name": parameter.name, "in": "query", "required": is_required, "schema": schema}


def _default(parameter: QueryParameter) -> Any:
    """Return what an absent parameter stands for, if a client could say it as well."""
    try:
        return msgspec.to_builtins(msgspec.convert(parameter.default, parameter.type))
    except msgspec.ValidationError:
        return None


def _success(row: Row, schemas: _Schemas) -> Node:
    content: Node = {}
    answers = list(_json_answers(row))
    if answers:
        content.update(schemas.content(answers[0]))
    if any(_is_a(answer, EventStream) for answer in _alternatives(row.signature.answer)):
        content["text/event-stream"] = _stream(row, schemas)
    content.update((kind, {}) for kind in _files(row))
    return {str(row.endpoint.status): _answer(row.endpoint.status, content, row.dialect)}


def _answer(status: int, content: Node, dialect: Dialect) -> Node:
    return {
        "description": HTTPStatus(status).phrase,
        "headers": _headers(status, dialect),
        **({"content": content} if content else {}),
    }


def _stream(row: Row, schemas: _Schemas) -> Node:
    # OpenAPI 3.1 has no word for the items of a stream (3.2 calls it `itemSchema`), and a `schema`
    # of the whole is held against each event by who reads streams.
    if not row.endpoint.events:
        return {}
    return {"x-event-data": {"anyOf": [schemas.of(shape) for shape in row.endpoint.events]}}


_HEADERS: Final[Node] = {
    "RequestId": {"description": "Names this request.", "schema": {"type": "string"}},
    "RetryAfter": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
}


def _headers(status: int, dialect: Dialect) -> Node:
    headers = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}
    for name in dialect.headers:
        headers[name] = {"$ref": f"#/components/headers/{_header_name(name)}"}
    if status in _RETRY:
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    return headers


def _own_headers(dialect: Dialect) -> Node:
    return {
        _header_name(name): {"description": about, "schema": {"type": "integer"}}
        for name, about in dialect.headers.items()
    }


def _header_name(name: str) -> str:
    return name.removeprefix("X-").replace("-", "")


def _failures(dialect: Dialect, schemas: _Schemas) -> Node:
    """Return how a contract words each status, once for all its operations."""
    return {
        _failure_name(status): _answer(status, schemas.content(shape), dialect)
        for status, shape in dialect.error_shapes.items()
    }


def _failure_name(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "")


def _refusals(row: Row) -> Node:
    statuses = sorted(set(_failing(row)))
    if unknown := set(statuses) - set(row.dialect.error_shapes):
        raise TypeError(f"{row.dialect.name} has no shape for {sorted(unknown)}")
    return {
        str(status): {"$ref": f"#/components/responses/{_failure_name(status)}"}
        for status in statuses
    }


def _others(row: Row, schemas: _Schemas) -> Node:
    return {
        str(status): _answer(status, schemas.content(shape), row.dialect)
        for status, shape in row.endpoint.answers.items()
    }


def _failing(row: Row) -> Iterator[int]:
    """Yield the statuses of failures: those that the signature tells of, and the table's."""
    endpoint, signature = row.endpoint, row.signature
    yield from _ALWAYS
    yield from endpoint.refuses
    if row.dialect.is_rate_limited:
        yield 429
    if endpoint.access is not Access.PUBLIC:
        yield 401
    if endpoint.access is Access.ADMIN:
        yield 403
    if signature.path:
        yield 404
    if signature.query or signature.takes_body:
        yield _status_of_invalid(row.dialect)
    if signature.takes_body:
        yield from (413, 415)
    if _is_keyed(row):
        yield from (403, 409, _status_of_invalid(row.dialect))


def _status_of_invalid(dialect: Dialect) -> int:
    return 422 if 422 in dialect.error_shapes else 400


def _is_keyed(row: Row) -> bool:
    """Tell whether a call changes something in the name of somebody."""
    return row.endpoint.changes and row.endpoint.access is not Access.PUBLIC


def _security(row: Row) -> list[Node]:
    if row.endpoint.access is Access.PUBLIC:
        return []
    cookie: Node = {"cookie": [], "csrf": []} if row.endpoint.changes else {"cookie": []}
    bearer: Node = {"bearer": []}
    return [cookie, bearer] if row.dialect.signs_in_by == "cookie" else [bearer, cookie]


def _words(handler: Any) -> tuple[str, str]:
    """Return a summary, the heading that the handler cites, and the rest of its docstring."""
    text = inspect.getdoc(handler) or ""
    cited = _CITATION.search(text)
    prose = _CITATION.sub("", text).strip()
    if cited is not None and cited[1]:
        return cited[1], prose
    first, _, rest = prose.partition("\n\n")
    return first.rstrip("."), rest


def _operation_ids(rows: Sequence[Row]) -> list[str]:
    """Return unique names: the module and the function, with the method where two share these."""
    names = [f"{_module(row)}_{row.endpoint.handler.__name__.rstrip('_')}" for row in rows]
    counts = Counter(names)
    return [
        name if counts[name] == 1 else f"{name}_{row.endpoint.method.lower()}"
        for name, row in zip(names, rows, strict=True)
    ]


def _tag(row: Row) -> str:
    return _module(row).replace("_", " ").capitalize()


def _module(row: Row) -> str:
    return str(row.endpoint.handler.__module__).rpartition(".")[2]


def _json_answers(row: Row) -> Iterator[Any]:
    """Yield the shape that an endpoint answers with, unless it answers in another way."""
    shapes = [kind for kind in _alternatives(row.signature.answer) if not _is_a(kind, Response)]
    if shapes and shapes != [NoneType]:
        yield reduce(or_, shapes)


def _files(row: Row) -> Iterator[str]:
    """Yield the media types of answers that are bytes, where their class names one."""
    for kind in _alternatives(row.signature.answer):
        if _is_a(kind, Response) and not _is_a(kind, EventStream) and kind.media_type:
            yield kind.media_type


def _alternatives(type_: Any) -> tuple[Any, ...]:
    origin = get_origin(type_)
    return get_args(type_) if origin is Union or origin is UnionType else (type_,)


def _is_a(kind: Any, base: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)
