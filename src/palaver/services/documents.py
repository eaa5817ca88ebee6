"""Documents: given, listed, read back, deleted. What reads them is `services/ingestion.py`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from palaver.domain.conversations import LIST_LIMIT
from palaver.domain.cursors import LIMIT, LIMIT_MAX, Stretch
from palaver.domain.documents import Document, DocumentCaps, NewDocument, TextSpan
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput, NotFound
from palaver.domain.search import SearchKind
from palaver.domain.users import Actor
from palaver.domain.webhooks import WebhookEventKind
from palaver.kit.clock import Clock, system_clock
from palaver.services.outbox import emit
from palaver.services.sweeping import sweep
from palaver.storage.database import Database, retrying
from palaver.storage.files import Files
from palaver.storage.tx import Tx

PURGE_JOB: Final = "purge_document"
CHUNKS_MAX: Final = 100  # removed in one transaction
PIECES_MAX: Final = 20
TEXT_MAX: Final = 20_000
"""Code points of a document's text in one answer."""


class DocumentService:
    """One's own documents, by their uuids; `on_waiting` is told that there is one to read."""

    def __init__(
        self,
        db: Database,
        files: Files,
        *,
        caps: DocumentCaps = DocumentCaps(),  # noqa: B008  # it is frozen
        on_waiting: Callable[[], None] = lambda: None,
        clock: Clock = system_clock,
    ) -> None:
        self.db = db
        self.files = files
        self.caps = caps
        self.on_waiting = on_waiting
        self.clock = clock

    async def create(self, actor: Actor, new: NewDocument) -> Document:
        """Keep a document, to be read soon; its file and its row are durable once this returns.

        Raises `DomainError` (`QUOTA_EXCEEDED`) where its owner keeps too much already.
        """
        uuid = actor.uuid_for("document")
        async with self.db.read() as tx:
            made = await tx.documents.find(uuid, owner_id=actor.owner_id)
            if made is None:
                await self._check_room(tx, actor, new)
        if made is not None:
            return made
        await self.files.write(uuid, new.content)
        try:
            document = await self._insert(actor, uuid, new)
        except DomainError:
            await self.files.remove(uuid)
            raise
        self.on_waiting()
        return document

    async def get(self, actor: Actor, uuid: str) -> Document:
        """Return one document. Raises `NotFound`."""
        async with self.db.read() as tx:
            return await tx.documents.get(uuid, owner_id=actor.owner_id)

    async def list(
        self, actor: Actor, *, limit: int = LIST_LIMIT, offset: int = 0
    ) -> Sequence[Document]:
        """Return the newest first, from the `offset`-th on."""
        async with self.db.read() as tx:
            return await tx.documents.list(
                owner_id=actor.owner_id, limit=min(limit, LIST_LIMIT), offset=offset
            )

    async def list_by_cursor(
        self, actor: Actor, *, cursor: str | None = None, limit: int = LIMIT
    ) -> Stretch[Document]:
        """Return the newest first, behind the cursor. Raises `InvalidInput`."""
        limit = min(limit, LIMIT_MAX)
        owner_id = actor.owner_id
        place = None if cursor is None else _parse_cursor(cursor)
        async with self.db.read() as tx:
            if place is None:
                found = await tx.documents.list(owner_id=owner_id, limit=limit + 1)
            else:
                found = await tx.documents.list_after(*place, owner_id=owner_id, limit=limit + 1)
        if len(found) <= limit:
            return Stretch(found, None)
        last = found[limit - 1]
        return Stretch(found[:limit], f"{last.updated_at}-{last.id}")

    async def text(
        self, actor: Actor, uuid: str, *, start: int = 0, end: int | None = None
    ) -> TextSpan:
        """Return `[start:end]` of the extracted text, at most `TEXT_MAX` code points.

        Raises `InvalidInput`, `NotFound`, `DomainError` (`CONFLICT`) while there is no text.
        """
        if end is not None and end < start:
            message = f"This must be at least `start`, which is {start}."
            raise InvalidInput.of("end", Fault.TOO_SMALL, message, place="query")
        longest = start + TEXT_MAX
        end = longest if end is None else min(end, longest)
        async with self.db.read() as tx:
            document = await tx.documents.get(uuid, owner_id=actor.owner_id)
            if document.status != "ready":
                message = "This document has not been read yet."
                raise DomainError(document.error or message, kind=ErrorKind.CONFLICT)
            return await tx.chunks.text(document.id, start=start, end=end)

    async def file(self, actor: Actor, uuid: str) -> tuple[Document, Path]:
        """Return a document, and where its file lies. Raises `NotFound`."""
        document = await self.get(actor, uuid)
        if not await self.files.has(document.uuid):
            raise NotFound("file")
        return document, self.files.path(document.uuid)

    async def reingest(self, actor: Actor, uuid: str) -> Document:
        """Read a document again from its file; one that waits or is being read is left alone.

        It is not found until that is done. Raises `NotFound`.
        """
        owner_id = actor.owner_id
        async with self.db.transaction() as tx:
            document = await tx.documents.get(uuid, owner_id=owner_id)
            await tx.documents.read_anew(document.id, owner_id=owner_id, at=self.clock())
            document = await tx.documents.get(uuid, owner_id=owner_id)
        self.on_waiting()
        return document

    async def delete(self, actor: Actor, uuid: str) -> None:
        """Hide a document everywhere at once; a job removes what it holds. Raises `NotFound`."""
        async with self.db.transaction() as tx:
            id = await tx.documents.delete(uuid, owner_id=actor.owner_id, at=self.clock())
            await tx.jobs.enqueue(PURGE_JOB, {"document_id": id})
            await tx.outbox.forget([WebhookEventKind.DOCUMENT_UPLOADED], [id])

    @retrying
    async def purge(self, actor: Actor, id: int) -> bool:
        """Remove some of what a deleted document holds; False while there is more. For jobs."""
        actor.require_admin()
        async with self.db.transaction() as tx:
            uuid = await tx.documents.find_deleted(id)
            if uuid is None:
                return True
            if not await remove_content(tx, id):
                return False
        await self.files.remove(uuid)
        async with self.db.transaction() as tx:
            await tx.documents.remove(id)
        return True

    async def sweep(self, actor: Actor) -> int:
        """Remove files that no row knows; return how many. For jobs."""
        actor.require_admin()
        return await sweep(self.db, self.files, lambda tx, names: tx.documents.known(names))

    @retrying
    async def _insert(self, actor: Actor, uuid: str, new: NewDocument) -> Document:
        async with self.db.transaction() as tx:
            # Held from here on: of two uploads that there is room for one of, one is refused.
            await tx.users.lock(actor.owner_id)
            await self._check_room(tx, actor, new)
            at = self.clock()
            document = await tx.documents.insert(
                uuid=uuid,
                owner_id=actor.owner_id,
                title=new.title,
                content_type=new.content_type,
                size_bytes=new.size_bytes,
                metadata=new.metadata,
                at=at,
            )
            if document is None:
                return await tx.documents.get(uuid, owner_id=actor.owner_id)
            kind = WebhookEventKind.DOCUMENT_UPLOADED
            await emit(tx, actor.owner_id, kind, document.id, at=at)
        return document

    async def _check_room(self, tx: Tx, actor: Actor, new: NewDocument) -> None:
        held = await tx.documents.held(owner_id=actor.owner_id)
        held.check(self.caps, more_bytes=new.size_bytes)


async def remove_content(tx: Tx, document_id: int) -> bool:
    """Remove some of a document's text, chunks and words; False while there is more."""
    gone = await tx.chunks.remove(document_id, limit=CHUNKS_MAX)
    await tx.search.remove(SearchKind.CHUNK, gone)
    if len(gone) == CHUNKS_MAX:
        return False
    return await tx.chunks.remove_text(document_id, limit=PIECES_MAX) < PIECES_MAX


def _parse_cursor(cursor: str) -> tuple[int, int]:
    at, _, id = cursor.partition("-")
    if not all(each.isascii() and each.isdigit() and len(each) <= 18 for each in (at, id)):
        message = "This is not a cursor of this list."
        raise InvalidInput.of("cursor", Fault.WRONG_FORMAT, message, place="query")
    return int(at), int(id)
