"""Documents: what a user has given to be answered from, and the chunks that are found in it.

Contract `platform`: "Documents".
"""

import re
from collections.abc import Mapping
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Final, Literal, TypeAlias

import msgspec

from palaver.domain.checks import Checks
from palaver.domain.conversations import TITLE_MAX_LENGTH
from palaver.domain.errors import DomainError, ErrorKind, Fault
from palaver.domain.extraction import MAX_TEXT_CODE_POINTS
from palaver.domain.metadata import take_metadata
from palaver.kit.clock import SECOND

FILE_MAX_BYTES: Final = 32 * 1024 * 1024
UNTITLED: Final = "Untitled"
TRIES_MAX: Final = 3
UNREADABLE: Final = "This file could not be read. Save it anew or as text, and add it again."

PLAIN: Final = "text/plain"
MARKDOWN: Final = "text/markdown"
HTML: Final = "text/html"
PDF: Final = "application/pdf"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

_TEXTS: Final = frozenset({PLAIN, MARKDOWN, HTML})
_OTHER_NAMES: Final = {
    "text/x-markdown": MARKDOWN,
    "application/xhtml+xml": HTML,
    "application/x-pdf": PDF,
}
_NO_TEXTS: Final = frozenset({"text/rtf", "text/richtext"})
_OF_SUFFIX: Final = {
    "": PLAIN,
    ".txt": PLAIN,
    ".text": PLAIN,
    ".log": PLAIN,
    ".csv": PLAIN,
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".pdf": PDF,
    ".docx": DOCX,
}
SUFFIXES: Final = {PLAIN: ".txt", MARKDOWN: ".md", HTML: ".html", PDF: ".pdf", DOCX: ".docx"}
"""What the name of a file ends with, by what it is."""

_CHARSET: Final = re.compile(r";\s*charset=\"?([\w.:+-]{1,40})", re.ASCII | re.IGNORECASE)
_UNKNOWN: Final = frozenset(
    {
        "",
        "application/octet-stream",
        "binary/octet-stream",
        "application/zip",
        "application/x-zip-compressed",
    }
)
"""What is said of a file by whoever does not know; a DOCX is a ZIP as well."""

_HEAD_BYTES: Final = 1024
_BYTE_ORDER_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")

DocumentStatus: TypeAlias = Literal["pending", "ready", "failed"]


class Document(msgspec.Struct, frozen=True, gc=False):
    """A document; its file lies in the data directory, its text and chunks in the database."""

    id: int
    uuid: str
    owner_id: int
    title: str
    content_type: str  # of the file: its media type, with its charset where somebody told it
    size_bytes: int  # of the file
    metadata: str | None  # JSON of the client that made it
    status: DocumentStatus
    error: str | None  # why it failed, as a sentence for its owner
    progress: float  # of the reading, from 0 to 1
    chunks: int  # how many there are
    embedded: int  # how many of them have a vector of `embedder`
    embedder: str | None  # the space of its vectors, None for full text alone
    created_at: int
    updated_at: int

    @property
    def mime_type(self) -> str:
        """Return what it is, without the charset."""
        return self.content_type.partition(";")[0]

    @property
    def has_vectors(self) -> bool:
        """Tell whether all of it can be found by meaning as well."""
        return self.embedder is not None and 0 < self.chunks <= self.embedded

    @property
    def file_name(self) -> str:
        """Return what to call its file where it is taken out again: one name, no path."""
        suffix = SUFFIXES.get(self.mime_type, "")
        name = "".join(" " if each in '/\\:"' else each for each in self.title).strip(". ")
        return name if name.lower().endswith(suffix) else f"{name or UNTITLED}{suffix}"


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """A stretch of a document's extracted text: `text` is its `[start:end]`, in code points."""

    number: int  # from 0, in the document's order
    start: int
    end: int
    page: int | None  # on which it begins, from 1
    heading: str | None  # under which it stands
    text: str
    page_starts: tuple[int, ...] = ()  # where later pages begin within it, in the document's text


class FoundChunk(msgspec.Struct, frozen=True, gc=False):
    """A chunk as a passage for an answer, with the document that it is of."""

    id: int
    document_uuid: str
    title: str
    number: int
    start: int
    end: int
    page: int | None
    heading: str | None
    text: str
    text_tokens: int
    page_starts: tuple[int, ...] = ()


class TextSpan(msgspec.Struct, frozen=True):
    """A piece of a document's extracted text of `length` code points; end exclusive."""

    start: int
    end: int
    length: int
    text: str


class DocumentCaps(msgspec.Struct, frozen=True):
    """How much one user may keep."""

    documents: int = 1_000
    size_bytes: int = 1024**3


class Held(msgspec.Struct, frozen=True, gc=False):
    """How much one user keeps."""

    documents: int
    size_bytes: int

    def check(self, caps: DocumentCaps, *, more_bytes: int) -> None:
        """Raise `DomainError` (`QUOTA_EXCEEDED`) where one more file has no room."""
        if self.documents >= caps.documents:
            message = f"You keep {self.documents} documents, and {caps.documents} is the most."
        elif self.size_bytes + more_bytes > caps.size_bytes:
            message = f"Your documents would take more than {caps.size_bytes} bytes."
        else:
            return
        raise DomainError(
            f"{message} Delete some first.",
            kind=ErrorKind.QUOTA_EXCEEDED,
            retry_after_seconds=_NOT_BY_ITSELF_SECONDS,
        )


_NOT_BY_ITSELF_SECONDS: Final = 86_400
"""What `Retry-After` says where no time helps: as the limits of plans do that never reset."""


class Reading(msgspec.Struct, frozen=True, gc=False):
    """A document that a worker reads: `attempt` is the fence, `tries` how often it was begun."""

    id: int
    uuid: str
    owner_id: int
    title: str
    content_type: str
    attempt: int
    tries: int

    @property
    def pause(self) -> int:
        """Return how long to wait after this try failed, in microseconds: 5 s, then 25 s."""
        return SECOND * (5 if self.tries < 2 else 25)


class NewDocument(msgspec.Struct, frozen=True):
    """What becomes a document: checked, its content at its beginning."""

    title: str
    content_type: str
    metadata: str | None
    content: BinaryIO
    size_bytes: int

    @classmethod
    def of_text(
        cls, text: str, *, title: str, mime_type: str, metadata: Mapping[str, Any] | None
    ) -> "NewDocument":
        """Take a text as it stands. Raises as `of_file` does."""
        content = text.encode()
        _check_size(len(content))
        if _normal(mime_type) not in _TEXTS:
            raise _unsupported("Send text as JSON, and every other file as multipart/form-data.")
        checks = Checks()
        given = _parse_title(checks, title)
        if not text.strip():
            checks.blame("content", Fault.BLANK, "This field may not be blank.", limit=1)
        if len(text) > MAX_TEXT_CODE_POINTS:
            message = f"Use at most {MAX_TEXT_CODE_POINTS} characters."
            checks.blame("content", Fault.TOO_LONG, message, limit=MAX_TEXT_CODE_POINTS)
        stored = take_metadata(checks, metadata)
        checks.end()
        content_type = f"{_normal(mime_type)}; charset=utf-8"
        return cls(given, content_type, stored, BytesIO(content), len(content))

    @classmethod
    def of_file(
        cls,
        content: BinaryIO,
        *,
        size_bytes: int,
        name: str,
        declared: str,
        title: str | None,
        metadata: Mapping[str, Any] | None,
    ) -> "NewDocument":
        """Take a file; without a title it goes by its name.

        Raises `DomainError` (`PAYLOAD_TOO_LARGE`, `UNSUPPORTED_MEDIA_TYPE`), `InvalidInput`.
        """
        _check_size(size_bytes)
        content_type = _type_of_file(declared, name, content)
        checks = Checks()
        given = _title_of(name) if title is None else _parse_title(checks, title)
        if not size_bytes:
            checks.blame("file", Fault.BLANK, "There is nothing in this file.", limit=1)
        stored = take_metadata(checks, metadata)
        checks.end()
        return cls(given, content_type, stored, content, size_bytes)


def _check_size(size_bytes: int) -> None:
    if size_bytes > FILE_MAX_BYTES:
        message = f"A document has at most {FILE_MAX_BYTES} bytes."
        raise DomainError(message, kind=ErrorKind.PAYLOAD_TOO_LARGE)


def _type_of_file(declared: str, name: str, content: BinaryIO) -> str:
    """Return which of our types a file is: what it holds goes before what is said of it."""
    content.seek(0)
    head = content.read(_HEAD_BYTES)
    content.seek(0)
    if head.lstrip().startswith(b"%PDF-"):
        return PDF
    mime_type = _normal(declared)
    by_name = _OF_SUFFIX.get(PurePosixPath(name).suffix.lower(), "")
    if mime_type in _UNKNOWN or (mime_type == PLAIN and by_name in _TEXTS):
        mime_type = by_name
    if mime_type not in SUFFIXES or (mime_type in _TEXTS and not _is_text(head)):
        raise _unsupported("Documents are text, Markdown, HTML, PDF or DOCX.")
    charset = _CHARSET.search(declared)
    if charset is None or mime_type not in _TEXTS:
        return mime_type
    return f"{mime_type}; charset={charset[1].lower()}"


def _normal(declared: str) -> str:
    """Return a media type in the form that we know; a text of another kind is a plain one."""
    mime_type = declared.partition(";")[0].strip().lower()
    mime_type = _OTHER_NAMES.get(mime_type, mime_type)
    if mime_type.startswith("text/") and mime_type not in _TEXTS | _NO_TEXTS:
        return PLAIN
    return mime_type


def _is_text(head: bytes) -> bool:
    return b"\0" not in head or head.startswith(_BYTE_ORDER_MARKS)


def _unsupported(message: str) -> DomainError:
    return DomainError(message, kind=ErrorKind.UNSUPPORTED_MEDIA_TYPE)


def _parse_title(checks: Checks, title: str) -> str:
    title = title.strip()
    if not title:
        checks.blame("title", Fault.BLANK, "A title may not be blank.", limit=1)
    return checks.text("title", title, max_length=TITLE_MAX_LENGTH)


def _title_of(file_name: str) -> str:
    """Return the name of a file without its folders, as a title."""
    name = file_name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(each for each in name if each.isprintable()).strip()
    return shown[:TITLE_MAX_LENGTH] or UNTITLED
