"""The chapter "Documents"."""

from palaver.dialects.platform import documents_wire, wire
from palaver.web.binding import Uuid
from palaver.web.call import Call


async def create(
    call: Call, body: documents_wire.DocumentCreate | documents_wire.DocumentUpload
) -> documents_wire.Document:
    """Keep a document; `status` tells when it is read. Contract: "Upload Document"."""
    document = await call.services.documents.create(call.actor, body.new)
    return documents_wire.Document.of(document, user_id=call.actor.owner_uuid)


async def list_(
    call: Call, *, limit: wire.Limit = 50, offset: wire.Offset = 0
) -> list[documents_wire.Document]:
    """List one's documents, newest first. Contract: "Get Documents"."""
    page = await call.services.documents.list(call.actor, limit=limit, offset=offset)
    user_id = call.actor.owner_uuid
    return [documents_wire.Document.of(document, user_id=user_id) for document in page]


async def get(call: Call, document_id: Uuid) -> documents_wire.Document:
    """Return one document. Beyond the document."""
    document = await call.services.documents.get(call.actor, document_id)
    return documents_wire.Document.of(document, user_id=call.actor.owner_uuid)


async def delete(call: Call, document_id: Uuid) -> wire.Notice:
    """Delete a document, and all that was taken from it. Contract: "Delete Document"."""
    await call.services.documents.delete(call.actor, document_id)
    return wire.Notice("Document deleted successfully")
