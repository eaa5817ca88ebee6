"""The outbox: what happened, stored in the transaction that makes it true."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from palaver.domain.conversations import NEW_CHAT
from palaver.domain.webhook_payloads import (
    ChatData,
    DocumentData,
    EventData,
    MemoryData,
    MessageData,
    render_instant,
)
from palaver.domain.webhooks import WebhookEventKind
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def _id(id: int) -> int:
    return id


def _chat(*columns: Any) -> ChatData:
    id, user_id, title, model, archived_at, created_at, updated_at = columns
    return ChatData(
        id,
        user_id,
        title or NEW_CHAT,
        model,
        archived_at is not None,
        render_instant(created_at),
        render_instant(updated_at),
    )


def _memory(*columns: Any) -> MemoryData:
    id, user_id, content, type, importance, metadata, chat_id, created_at, updated_at = columns
    shown = _decode(metadata) if metadata else {}
    if chat_id is not None:
        shown["chat_id"] = chat_id
    return MemoryData(
        id,
        user_id,
        content,
        type,
        importance,
        shown,
        render_instant(created_at),
        render_instant(updated_at),
    )


def _document(*columns: Any) -> DocumentData:
    id, user_id, title, content_type, size_bytes, metadata, status, error, *times = columns
    return DocumentData(
        id,
        user_id,
        title,
        content_type.partition(";")[0],
        size_bytes,
        {} if metadata is None else _decode(metadata),
        status,
        error,
        *map(render_instant, times),
    )


_WANTED: Final = """is_active = 1 and deleted_at is null
    and coalesce(owner_id, 0) in (0, cast(:owner_id as bigint)) and (events & :bit) <> 0"""
# On the way of every message: one look into an index where nobody wants to know.
_IS_WANTED: Final = Statement(f"select id from webhook_endpoints where {_WANTED} limit 1", _id)
_CHAT: Final = Statement(
    """select c.uuid, u.uuid, c.title, coalesce(c.asked_model, c.model), c.archived_at,
        c.created_at, c.updated_at
    from conversations c join users u on u.id = c.owner_id where c.id = :id""",
    _chat,
)
_MESSAGE: Final = Statement(
    """select m.uuid, c.uuid, m.role, m.text
    from messages m join conversations c on c.id = m.conversation_id where m.id = :id""",
    MessageData,
)
_MEMORY: Final = Statement(
    """select m.uuid, u.uuid, m.content, m.type, m.importance, m.metadata, c.uuid,
        m.created_at, m.updated_at
    from memories m join users u on u.id = m.owner_id
    left join conversations c on c.id = m.conversation_id where m.id = :id""",
    _memory,
)
_DOCUMENT: Final = Statement(
    """select d.uuid, u.uuid, d.title, d.mime_type, d.size_bytes, d.metadata, d.status, d.error,
        d.created_at, d.updated_at
    from documents d join users u on u.id = d.owner_id where d.id = :id""",
    _document,
)
_SUBJECTS: Final[dict[WebhookEventKind, Statement[Any]]] = {
    WebhookEventKind.CHAT_CREATED: _CHAT,
    WebhookEventKind.CHAT_DELETED: _CHAT,
    WebhookEventKind.MESSAGE_CREATED: _MESSAGE,
    WebhookEventKind.MEMORY_CREATED: _MEMORY,
    WebhookEventKind.DOCUMENT_UPLOADED: _DOCUMENT,
}
_APPEND: Final = Statement(
    """insert into webhook_events (uuid, owner_id, kind, ref, data, texts, created_at)
    values (:uuid, :owner_id, :kind, :ref, :data, :texts, :at) returning id""",
    _id,
)
_ADDRESS: Final[Statement[None]] = Statement(
    f"""insert into webhook_deliveries (event_id, endpoint_id, state, created_at, begun_at)
    select cast(:event_id as bigint), id, 'new', cast(:at as bigint), cast(:at as bigint)
    from webhook_endpoints where {_WANTED} order by id"""
)
_FORGET: Final[Statement[None]] = Statement(
    """update webhook_events set texts = null
    where ref {in_numbers refs} and kind {in_texts kinds} and texts is not null"""
)
_FORGET_TOLD: Final[Statement[None]] = Statement(
    """update webhook_events set texts = null
    where uuid = :uuid and not exists (
        select 1 from webhook_deliveries d
        where d.event_id = webhook_events.id and d.finished_at is null)"""
)
# The oldest end is cut off: nothing that is older than the tries take still waits.
_PURGE: Final = Statement(
    """delete from webhook_events where id in (
        select id from (select id, created_at from webhook_events order by id limit :limit) head
        where created_at < :before)
    returning id""",
    _id,
)
_ERASE: Final = Statement(
    """delete from webhook_events where id in (
        select id from webhook_events where owner_id = :owner_id limit :limit)
    returning id""",
    _id,
)
_PURGE_DELIVERIES: Final = Statement(
    """delete from webhook_deliveries where id in (
        select d.id from webhook_deliveries d
        join webhook_endpoints e on e.id = d.endpoint_id and e.deleted_at is not null
        limit :limit)
    returning id""",
    _id,
)
_PURGE_ENDPOINTS: Final = Statement(
    "delete from webhook_endpoints where deleted_at is not null returning id", _id
)


class OutboxStore:
    """`webhook_events`, each with a row in `webhook_deliveries` for who wants to know."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def is_wanted(self, kind: WebhookEventKind, *, owner_id: int) -> bool:
        """Tell whether the owner, or the administration, is to be told of such a thing."""
        found = await self._connection.one(_IS_WANTED, owner_id=owner_id, bit=kind.bit)
        return found is not None

    async def data(self, kind: WebhookEventKind, id: int) -> EventData | None:
        """Return what is told of a chat, a message, a memory or a document."""
        found: EventData | None = await self._connection.one(_SUBJECTS[kind], id=id)
        return found

    async def append(
        self,
        kind: WebhookEventKind,
        *,
        uuid: str,
        owner_id: int,
        ref: int,
        data: str,
        texts: str,
        at: int,
    ) -> None:
        """Store an event, to be delivered to each endpoint that wants it now."""
        event_id = await self._connection.one(
            _APPEND,
            uuid=uuid,
            owner_id=owner_id,
            kind=kind.value,
            ref=ref,
            data=data,
            texts=texts,
            at=at,
        )
        await self._connection.run(
            _ADDRESS, event_id=event_id, owner_id=owner_id, bit=kind.bit, at=at
        )

    async def forget(self, kinds: Sequence[WebhookEventKind], refs: Sequence[int]) -> None:
        """Remove what people wrote from the events of things that were deleted."""
        if refs:
            await self._connection.run(
                _FORGET,
                kinds=msgspec.json.encode(kinds).decode(),
                refs=msgspec.json.encode(refs).decode(),
            )

    async def forget_told(self, uuid: str) -> None:
        """Remove what people wrote from an event that nobody waits for any more."""
        await self._connection.run(_FORGET_TOLD, uuid=uuid)

    async def purge(self, *, before: int, limit: int) -> int:
        """Remove the oldest events, with their deliveries; return how many."""
        return len(await self._connection.all(_PURGE, before=before, limit=limit))

    async def erase(self, owner_id: int, *, limit: int) -> int:
        """Remove some of the events of an owner; return how many."""
        return len(await self._connection.all(_ERASE, owner_id=owner_id, limit=limit))

    async def purge_deleted(self, *, limit: int) -> int:
        """Remove some of what hangs on deleted endpoints, in the end them; return how many rows."""
        gone = await self._connection.all(_PURGE_DELIVERIES, limit=limit)
        if len(gone) < limit:
            gone += await self._connection.all(_PURGE_ENDPOINTS)
        return len(gone)
