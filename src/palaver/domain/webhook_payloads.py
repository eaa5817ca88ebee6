"""What webhooks carry. Contract `platform`: "Webhook Payload".

The data is what that contract shows of the thing, whichever contract made it. What people wrote
in it is kept apart: it is not the administration's to read, and goes when its thing is deleted.
"""

from typing import Any, Final, TypeAlias

import msgspec

from palaver.domain.webhooks import WebhookEvent, WebhookEventKind
from palaver.kit.clock import iso_text


class ChatData(msgspec.Struct, frozen=True, gc=False):
    """A chat, as "Create Chat" answers."""

    id: str
    user_id: str
    title: str
    model: str | None
    is_archived: bool
    created_at: str
    updated_at: str


class MessageData(msgspec.Struct, frozen=True, gc=False):
    """A message: the documented fields, and who speaks."""

    id: str
    chat_id: str
    role: str
    content: str


class MemoryData(msgspec.Struct, frozen=True):
    """A memory, as "Create Memory" answers."""

    id: str
    user_id: str
    content: str
    memory_type: str
    importance_score: float
    metadata: dict[str, Any]
    created_at: str
    updated_at: str


class DocumentData(msgspec.Struct, frozen=True):
    """A document, as "Upload Document" answers."""

    id: str
    user_id: str
    title: str
    mime_type: str
    size_bytes: int
    metadata: dict[str, Any]
    status: str
    error: str | None
    created_at: str
    updated_at: str


EventData: TypeAlias = ChatData | MessageData | MemoryData | DocumentData

_ORDERS: Final[dict[str, tuple[str, ...]]] = {
    WebhookEventKind.CHAT_CREATED: ChatData.__struct_fields__,
    WebhookEventKind.CHAT_DELETED: ChatData.__struct_fields__,
    WebhookEventKind.MESSAGE_CREATED: MessageData.__struct_fields__,
    WebhookEventKind.MEMORY_CREATED: MemoryData.__struct_fields__,
    WebhookEventKind.DOCUMENT_UPLOADED: DocumentData.__struct_fields__,
}
_WRITTEN: Final = frozenset({"title", "content", "metadata", "error"})
"""The fields that hold what people wrote."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def render_instant(at: int) -> str:
    """Return an instant as the contract writes it."""
    return f"{iso_text(at)}Z"


def divided(data: EventData) -> tuple[str, str]:
    """Return data as it is stored: without what people wrote, and that alone."""
    fields = msgspec.structs.asdict(data)
    texts = {name: value for name, value in fields.items() if name in _WRITTEN}
    rest = {name: value for name, value in fields.items() if name not in _WRITTEN}
    return _encode(rest).decode(), _encode(texts).decode()


def payload(event: WebhookEvent, *, has_text: bool) -> bytes:
    """Return the body of an event; without text also where that was deleted since."""
    fields = _decode(event.data)
    if has_text and event.texts is not None:
        fields |= _decode(event.texts)
    order = _ORDERS.get(event.kind, tuple(fields))
    data = {name: fields[name] for name in order if name in fields}
    return _encode(
        {"event": event.kind, "timestamp": render_instant(event.created_at), "data": data}
    )
