"""Uploads: a body of `multipart/form-data`, spooled to the disk, and its fields as a shape.

An endpoint takes one where its handler's `body` may be a `Form`:

    async def create(call: Call, body: wire.Text | wire.Upload) -> wire.Document
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any, BinaryIO, Final, TypeVar

import msgspec
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from palaver.domain.documents import FILE_MAX_BYTES
from palaver.domain.errors import DomainError, ErrorKind, Fault, FieldFault, InvalidInput
from palaver.web.bodies import MULTIPART, alternatives, convert, sized_stream

UPLOAD_MAX_BYTES: Final = FILE_MAX_BYTES + 64 * 1024
"""A body may be so long: its file, and what stands around it."""

_FILES_MAX: Final = 8
_FIELDS_MAX: Final = 32
_CHUNK_BYTES: Final = 1 << 20

F = TypeVar("F", bound="Form")


class Form(msgspec.Struct):
    """Fields that come as `multipart/form-data`: texts, files, and all else as JSON text."""


class Upload:
    """A file that came in; it is gone once the request is over."""

    def __init__(self, given: UploadFile) -> None:
        self.content: BinaryIO = given.file
        self.name = given.filename or ""
        self.declared = given.content_type or ""
        self.size_bytes = given.size or 0

    def digest(self) -> str:
        """Return what tells its content from another's. Takes its time: beside the loop."""
        self.content.seek(0)
        found = hashlib.file_digest(self.content, "sha256").hexdigest()  # type: ignore[arg-type]  # it reads
        self.content.seek(0)
        return found


File = Annotated[Upload, msgspec.Meta(extra_json_schema={"type": "string", "format": "binary"})]


def is_multipart(content_type: str) -> bool:
    """Tell whether a body has the form of an upload."""
    return content_type.partition(";")[0].strip().lower() == MULTIPART


def no_upload(content: bytes) -> DomainError:
    """Return the refusal of another body where nothing but an upload is taken."""
    if not content:
        return InvalidInput([FieldFault(("body",), Fault.MISSING, "Send a file.")])
    message = f"Send the body as {MULTIPART}."
    return DomainError(message, kind=ErrorKind.UNSUPPORTED_MEDIA_TYPE)


@contextlib.asynccontextmanager
async def received(request: Request, shape: type[F], *, max_bytes: int) -> AsyncIterator[F]:
    """Give the form that a request holds; its files are there until the block ends.

    Raises `DomainError` (`PAYLOAD_TOO_LARGE`), or `InvalidInput` with every wrong field.
    """
    form = await _parsed(request, max_bytes=max_bytes)
    try:
        yield _form(form, shape)
    finally:
        await form.close()


async def content_of(form: Form) -> bytes:
    """Return what tells a form from another: not the body itself, whose boundary is chance."""
    fields = []
    for name in form.__struct_fields__:
        value = getattr(form, name)
        if isinstance(value, Upload):
            digest = await asyncio.to_thread(value.digest)
            fields.append([name, value.name, value.declared, digest])
        else:
            fields.append([name, value])
    return msgspec.json.encode(fields, order="sorted")


async def _parsed(request: Request, *, max_bytes: int) -> FormData:
    stream = sized_stream(request, max_bytes=max_bytes)
    parser = _Parser(
        request.headers,
        stream,
        max_files=_FILES_MAX,
        max_fields=_FIELDS_MAX,
        max_part_size=_CHUNK_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        await _drained(stream)  # what is too large is told first
        raise _malformed(error.message) from None
    if not parser.is_whole:
        parser.close()
        raise _malformed("It ends too early.")
    return form


class _Parser(MultiPartParser):
    """Knows whether the body has come to its end: a part that was cut off is no file."""

    is_whole = False

    def on_end(self) -> None:
        self.is_whole = True

    def close(self) -> None:
        """Give up every file, that of a part without an end included."""
        for file in self._files_to_close_on_error:
            file.close()


async def _drained(stream: AsyncGenerator[bytes, None]) -> None:
    async for _ in stream:
        pass


def _malformed(reason: str) -> InvalidInput:
    message = f"The body is not valid {MULTIPART}: {reason.rstrip('.')}."
    return InvalidInput([FieldFault(("body",), Fault.MALFORMED, message)])


def _form(form: FormData, shape: type[F]) -> F:
    """Return the fields as their shape; an empty text counts as none, as browsers send it.

    Of several texts the last one counts; several files are refused, since one would be lost.
    """
    given = {name: value for name, value in form.multi_items() if value != ""}
    fields: dict[str, Any] = {}
    faults: list[FieldFault] = []
    for field in msgspec.structs.fields(shape):
        name = field.encode_name
        if sum(isinstance(value, UploadFile) for value in form.getlist(name)) > 1:
            message = "Send one file: there are several here."
            faults.append(FieldFault(("body", name), Fault.NOT_ALLOWED, message))
        elif name in given:
            fields[name] = _value(given[name], name, set(alternatives(field.type)), faults)
    if faults:
        raise InvalidInput(faults)
    return convert(fields, shape)


def _value(given: str | UploadFile, name: str, kinds: set[Any], faults: list[FieldFault]) -> Any:
    path = ("body", name)
    if isinstance(given, UploadFile):
        if Upload in kinds:
            return Upload(given)
        message = "This must be a text: send it without a `filename`."
        faults.append(FieldFault(path, Fault.WRONG_TYPE, message, "str"))
    elif Upload in kinds:
        faults.append(FieldFault(path, Fault.WRONG_TYPE, "This must be a file.", "file"))
    elif any("\ud800" <= character <= "\udfff" for character in given):
        # A charset of the client's choice may hold what is no character.
        message = "This holds a character that is none."
        faults.append(FieldFault(path, Fault.NOT_ALLOWED, message))
    elif str not in kinds:
        try:
            return msgspec.json.decode(given)
        except (msgspec.DecodeError, RecursionError) as error:
            message = f"This is not valid JSON: {error}."
            faults.append(FieldFault(path, Fault.MALFORMED, message))
    return given
