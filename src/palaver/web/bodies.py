"""Request bodies: read within bounds, decoded strictly, and every wrong field named at once."""

import enum
import re
from collections.abc import AsyncGenerator, Iterator
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from palaver.domain.errors import DomainError, ErrorKind, Fault, FieldFault, InvalidInput

T = TypeVar("T")

INT64_MAX: Final = 2**63 - 1
Int64 = Annotated[int, msgspec.Meta(ge=-INT64_MAX - 1, le=INT64_MAX)]
"""An integer as both databases can hold it."""

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
JSON_MAX_DEPTH: Final = 64
"""How deep objects and lists of a body may lie in one another: what walks them calls itself."""

FORM_MAX_FIELDS: Final = 100

MALFORMED: Final = "The body is not valid JSON: "
"""What the message of such a fault begins with; the decoder's own words and a full stop follow."""

NUL: Final = "Text may not contain the NUL character."
_BRACKETS: Final = re.compile(rb'[\[{}\]]|"(?:[^"\\]|\\.)*+"?+', re.DOTALL)
_AT: Final = re.compile(r" - at `\$([^`]*)`$")
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d*|\.\.\.)\]")
_LENGTH: Final = re.compile(r"of length (>=|<=) (\d+)")
_RANGE: Final = re.compile(r"(>=|<=|>|<) (-?[\d.]+)$")
_EXPECTED: Final = re.compile(r"Expected `([^`]+)`")
_MISSING: Final = re.compile(r"missing required field `([^`]+)`")


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """Return the whole body; raises `DomainError` (`PAYLOAD_TOO_LARGE`) beyond `max_bytes`."""
    return b"".join([chunk async for chunk in sized_stream(request, max_bytes=max_bytes)])


async def sized_stream(request: Request, *, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield the body as it comes; raises as `read_body` does, as soon as that is known."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        yield chunk


def _too_large(max_bytes: int) -> DomainError:
    return DomainError(
        f"The body is larger than {max_bytes} bytes.", kind=ErrorKind.PAYLOAD_TOO_LARGE
    )


def decode_body(
    content: bytes,
    content_type: str,
    shape: type[T],
    *,
    takes_form: bool,
    takes_upload: bool = False,
) -> T:
    """Return the body as `shape`; an empty one counts as `{}`.

    Raises `DomainError` (`UNSUPPORTED_MEDIA_TYPE`), or `InvalidInput` with every wrong field.
    """
    if not content:
        return convert({}, shape)
    media_type = content_type.partition(";")[0].strip().lower()
    if takes_form and media_type == FORM:
        return convert(form_fields(content), shape)
    if media_type != "application/json" and not media_type.endswith("+json"):
        wanted = "application/json"
        if takes_form or takes_upload:
            wanted += f" or {FORM if takes_form else MULTIPART}"
        raise DomainError(f"Send the body as {wanted}.", kind=ErrorKind.UNSUPPORTED_MEDIA_TYPE)
    return decode_json(content, shape)


def form_fields(content: bytes) -> dict[str, str]:
    """Return the fields of a form; raises `InvalidInput` where there are too many."""
    text = content.decode("utf-8", "replace")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=FORM_MAX_FIELDS))
    except ValueError:
        message = f"Use at most {FORM_MAX_FIELDS} fields."
        fault = FieldFault(("body",), Fault.TOO_LONG, message, limit=FORM_MAX_FIELDS)
        raise InvalidInput([fault]) from None


def decode_json(content: bytes, shape: type[T]) -> T:
    """Return JSON text as `shape`; raises `InvalidInput` with every wrong field."""
    if content.count(b"{") + content.count(b"[") > JSON_MAX_DEPTH:  # most have not so many in all
        _check_depth(content)
    try:
        value: T = _decoder(shape).decode(content)  # type: ignore[arg-type]  # a type is hashable
    except msgspec.ValidationError:
        raise InvalidInput(_faults_of(_plain(content), shape)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(str(error)) from None
    if b"\\u0000" in content and (faults := list(_nul_faults(_plain(content)))):
        raise InvalidInput(faults)
    return value


def _check_depth(content: bytes) -> None:
    depth = 0
    for match in _BRACKETS.finditer(content):
        first = content[match.start()]
        if first in b"{[":
            depth += 1
            if depth > JSON_MAX_DEPTH:
                raise _malformed(f"it is nested deeper than {JSON_MAX_DEPTH} levels")
        elif first in b"}]":
            depth -= 1


def convert(fields: dict[str, Any], shape: type[T]) -> T:
    """Return plain fields (of a form) as `shape`; raises `InvalidInput` with every wrong one."""
    try:
        value = msgspec.convert(fields, shape)
    except msgspec.ValidationError:
        raise InvalidInput(_faults_of(fields, shape)) from None
    if faults := list(_nul_faults(fields)):
        raise InvalidInput(faults)
    return value


@cache
def _decoder(shape: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


def _plain(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(str(error)) from None


def _malformed(reason: str) -> InvalidInput:
    message = f"{MALFORMED}{reason}."
    return InvalidInput([FieldFault(("body",), Fault.MALFORMED, message)])


def _faults_of(value: Any, shape: Any) -> list[FieldFault]:
    """Try every field alone, since the decoder stops at the first wrong one."""
    if not isinstance(value, dict):
        message, given = "Send a JSON object.", type(value).__name__
        return [FieldFault(("body",), Fault.WRONG_TYPE, message, "object", given=given)]
    return _field_faults(value, shape, ("body",)) or [*_nul_faults(value)]


def explain(
    value: Any, type_: Any, path: tuple[str | int, ...], *, strict: bool = True
) -> list[FieldFault]:
    """Return everything that is wrong with one value; empty = nothing.

    Objects and lists are gone through piece by piece, since the decoder stops at the first fault.
    """
    try:
        msgspec.convert(value, type_, strict=strict)
    except msgspec.ValidationError as error:
        return _inner_faults(value, type_, path) or [_fault(str(error), value, type_, path)]
    return []


def _inner_faults(value: Any, type_: Any, path: tuple[str | int, ...]) -> list[FieldFault]:
    for kind in alternatives(type_):
        if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return _field_faults(value, kind, path)
        if isinstance(value, list) and get_origin(kind) in {list, tuple}:
            item = get_args(kind)[0]
            return [fault for i, v in enumerate(value) for fault in explain(v, item, (*path, i))]
    return []


def _field_faults(value: Any, shape: Any, path: tuple[str | int, ...]) -> list[FieldFault]:
    faults: list[FieldFault] = []
    for field in msgspec.structs.fields(shape):
        name = field.encode_name
        if name in value:
            faults += explain(value[name], field.type, (*path, name))
        elif field.required:
            faults.append(FieldFault((*path, name), Fault.MISSING, "This field is required."))
    return faults


def alternatives(type_: Any) -> Iterator[Any]:
    """Yield the types that a type may be: the members of a union, without what annotates them."""
    origin = get_origin(type_)
    if origin is Annotated:
        yield from alternatives(type_.__origin__)
    elif origin is Union or origin is UnionType:
        for member in get_args(type_):
            yield from alternatives(member)
    else:
        yield type_


def _fault(reason: str, value: Any, type_: Any, path: tuple[str | int, ...]) -> FieldFault:
    if (at := _AT.search(reason)) is not None:
        reason = reason[: at.start()]
        for name, index in _STEP.findall(at[1]):
            path += (name if name else int(index) if index.isdigit() else "item",)
    expected = found[1] if (found := _EXPECTED.search(reason)) is not None else ""
    if (missing := _MISSING.search(reason)) is not None:
        return FieldFault((*path, missing[1]), Fault.MISSING, "This field is required.")
    if (length := _LENGTH.search(reason)) is not None:
        return _length_fault(length[1], int(length[2]), expected, path)
    if (bound := _RANGE.search(reason)) is not None:
        limit = float(bound[2]) if "." in bound[2] else int(bound[2])
        fault = Fault.TOO_SMALL if bound[1].startswith(">") else Fault.TOO_LARGE
        word = "least" if fault is Fault.TOO_SMALL else "most"
        return FieldFault(path, fault, f"This must be at {word} {limit}.", expected, limit)
    if reason.startswith("Invalid enum value"):
        return FieldFault(path, Fault.NOT_ALLOWED, f"{reason}.", _permitted(type_))
    if reason == "Invalid UUID":
        return FieldFault(path, Fault.WRONG_FORMAT, "This is not a UUID.", "uuid")
    if value is None:
        return FieldFault(path, Fault.NULL, "This field may not be null.", expected)
    return FieldFault(path, Fault.WRONG_TYPE, f"{reason}.", expected)


def _length_fault(sign: str, limit: int, expected: str, path: tuple[str | int, ...]) -> FieldFault:
    if sign == "<=":
        return FieldFault(path, Fault.TOO_LONG, f"Use at most {limit}.", expected, limit)
    if limit == 1:
        return FieldFault(path, Fault.BLANK, "This field may not be blank.", expected, limit)
    return FieldFault(path, Fault.TOO_SHORT, f"Use at least {limit}.", expected, limit)


def _permitted(type_: Any) -> str:
    """Return the values of a literal or an enum: `user, assistant, system`."""
    values: list[Any] = []
    for kind in alternatives(type_):
        if get_origin(kind) is Literal:
            values += get_args(kind)
        elif isinstance(kind, type) and issubclass(kind, enum.Enum):
            values += [member.value for member in kind]
    return ", ".join(map(str, values))


def _nul_faults(value: Any, path: tuple[str | int, ...] = ("body",)) -> Iterator[FieldFault]:
    if isinstance(value, str):
        if "\0" in value:
            yield FieldFault(path, Fault.NOT_ALLOWED, NUL)
    elif isinstance(value, dict):
        for key, item in value.items():
            if "\0" in key:
                yield FieldFault(path, Fault.NOT_ALLOWED, NUL)
            yield from _nul_faults(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nul_faults(item, (*path, index))
