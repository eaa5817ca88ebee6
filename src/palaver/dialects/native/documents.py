"""The chapter "Documents"."""

from starlette.responses import FileResponse

from palaver.dialects.native import documents_wire, wire
from palaver.domain.cursors import LIMIT
from palaver.web.binding import Uuid
from palaver.web.call import Call


class Download(FileResponse):
    """A file as it was given, which no browser shows or runs on our origin."""

    media_type = "application/octet-stream"


async def list_(
    call: Call, *, cursor: str | None = None, limit: wire.Limit = LIMIT
) -> documents_wire.Documents:
    """List one's documents, the last changed first. Contract: "List Documents"."""
    found = await call.services.documents.list_by_cursor(call.actor, cursor=cursor, limit=limit)
    return documents_wire.Documents.of(found)


async def create(
    call: Call, body: documents_wire.DocumentCreate | documents_wire.DocumentUpload
) -> documents_wire.Document:
    """Keep a document, to be read in the background. Contract: "Add Document"."""
    document = await call.services.documents.create(call.actor, body.new)
    return documents_wire.Document.of(document)


async def get(call: Call, document_id: Uuid) -> documents_wire.Document:
    """Return one document, and how far it is read. Contract: "Get Document"."""
    document = await call.services.documents.get(call.actor, document_id)
    return documents_wire.Document.of(document)


async def get_text(
    call: Call,
    document_id: Uuid,
    *,
    start: documents_wire.CodePoint = 0,
    end: documents_wire.CodePoint | None = None,
) -> documents_wire.DocumentText:
    """Return a piece of what was read, such as what a citation names. Contract: "Read Document"."""
    span = await call.services.documents.text(call.actor, document_id, start=start, end=end)
    return documents_wire.DocumentText.of(span)


async def download(call: Call, document_id: Uuid) -> Download:
    """Send the file as it was given. Contract: "Download Document"."""
    document, path = await call.services.documents.file(call.actor, document_id)
    headers = {"x-content-type-options": "nosniff", "cache-control": "private, no-store"}
    return Download(
        path, headers=headers, media_type=Download.media_type, filename=document.file_name
    )


async def reingest(call: Call, document_id: Uuid) -> documents_wire.Document:
    """Read a document again from its file. Contract: "Read Document Again"."""
    document = await call.services.documents.reingest(call.actor, document_id)
    return documents_wire.Document.of(document)


async def delete(call: Call, document_id: Uuid) -> None:
    """Delete a document, and all that was taken from it. Contract: "Delete Document"."""
    await call.services.documents.delete(call.actor, document_id)
