"""The shapes of the chapter "Documents"."""

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from palaver.dialects.native.wire import Id, Time, render_time
from palaver.domain import documents
from palaver.domain.conversations import TITLE_MAX_LENGTH
from palaver.domain.cursors import Stretch
from palaver.domain.documents import PLAIN, DocumentStatus, NewDocument
from palaver.web.bodies import INT64_MAX
from palaver.web.uploads import File, Form

# The domain holds the rule; this tells of it.
Title: TypeAlias = Annotated[
    str,
    Meta(extra_json_schema={"minLength": 1, "maxLength": TITLE_MAX_LENGTH, "pattern": r"\S"}),
]
CodePoint: TypeAlias = Annotated[int, Meta(ge=0, le=INT64_MAX // 2)]
"""A place in a text, as Unicode counts."""


class DocumentCreate(Struct):
    """A text to be kept as a document."""

    title: Title
    content: str
    mime_type: str = PLAIN
    metadata: dict[str, Any] | None = None

    @property
    def new(self) -> NewDocument:
        """Return it in the domain's words. Raises `DomainError`."""
        return NewDocument.of_text(
            self.content, title=self.title, mime_type=self.mime_type, metadata=self.metadata
        )


class DocumentUpload(Form):
    """A file to be kept as a document; without a title it goes by its name."""

    file: File
    title: Title | None = None
    metadata: dict[str, Any] | None = None

    @property
    def new(self) -> NewDocument:
        """Return it in the domain's words. Raises `DomainError`."""
        return NewDocument.of_file(
            self.file.content,
            size_bytes=self.file.size_bytes,
            name=self.file.name,
            declared=self.file.declared,
            title=self.title,
            metadata=self.metadata,
        )


class Document(Struct, kw_only=True, gc=False):
    """A document, and how far it is read."""

    id: Id
    title: str
    mime_type: str
    size_bytes: int
    metadata: dict[str, Any]
    status: DocumentStatus
    error: str | None
    progress: float
    chunks: int
    embedded: int
    search: Literal["text", "text+vectors"]
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, document: documents.Document) -> "Document":
        """Render a document."""
        return cls(
            id=document.uuid,
            title=document.title,
            mime_type=document.mime_type,
            size_bytes=document.size_bytes,
            metadata=msgspec.json.decode(document.metadata or "{}"),
            status=document.status,
            error=document.error,
            progress=round(document.progress, 3),
            chunks=document.chunks,
            embedded=document.embedded,
            search="text+vectors" if document.has_vectors else "text",
            created_at=render_time(document.created_at),
            updated_at=render_time(document.updated_at),
        )


class Documents(Struct):
    """Documents, the last changed first."""

    items: list[Document]
    next: str | None

    @classmethod
    def of(cls, found: Stretch[documents.Document]) -> "Documents":
        """Render a stretch of the list."""
        return cls([Document.of(document) for document in found.items], found.next)


class DocumentText(Struct):
    """A piece of a document's text, which has `length` code points in all; end exclusive."""

    start: int
    end: int
    length: int
    text: str

    @classmethod
    def of(cls, span: documents.TextSpan) -> "DocumentText":
        """Render a piece."""
        return cls(span.start, span.end, span.length, span.text)
