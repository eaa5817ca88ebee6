"""The shapes of the chapter "Documents"."""

from typing import Any

import msgspec
from msgspec import Struct

from palaver.dialects.platform.wire import Id, Time, Title, render_time
from palaver.domain import documents
from palaver.domain.documents import PLAIN, DocumentStatus, NewDocument
from palaver.web.uploads import File, Form


class DocumentCreate(Struct):
    """The body of "Upload Document", for text."""

    title: Title
    content: str
    mime_type: str = PLAIN
    metadata: dict[str, Any] | None = None

    @property
    def new(self) -> NewDocument:
        """Return what is kept. Raises `DomainError`."""
        return NewDocument.of_text(
            self.content, title=self.title, mime_type=self.mime_type, metadata=self.metadata
        )


class DocumentUpload(Form):
    """The body of "Upload Document", for any file; without a title it goes by its name."""

    file: File
    title: Title | None = None
    metadata: dict[str, Any] | None = None

    @property
    def new(self) -> NewDocument:
        """Return what is kept. Raises `DomainError`."""
        return NewDocument.of_file(
            self.file.content,
            size_bytes=self.file.size_bytes,
            name=self.file.name,
            declared=self.file.declared,
            title=self.title,
            metadata=self.metadata,
        )


class Document(Struct, gc=False):
    """A document, never its content; `error` says why one has failed."""

    id: Id
    user_id: Id
    title: str
    mime_type: str
    size_bytes: int
    metadata: dict[str, Any]
    status: DocumentStatus
    error: str | None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, document: documents.Document, *, user_id: str) -> "Document":
        """Render a document."""
        return cls(
            document.uuid,
            user_id,
            document.title,
            document.mime_type,
            document.size_bytes,
            msgspec.json.decode(document.metadata or "{}"),
            document.status,
            document.error,
            render_time(document.created_at),
            render_time(document.updated_at),
        )
