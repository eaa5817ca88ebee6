"""The chapter "Messages"."""

from palaver.dialects.streaming import wire
from palaver.web.call import Call


async def list_(
    call: Call,
    conversation_id: int,
    *,
    limit: wire.Limit = wire.LIST_LIMIT,
    before: wire.ItemId | None = None,
) -> list[wire.Message]:
    """List the newest messages of a conversation, oldest first. Contract: "List Messages"."""
    messages = await call.services.conversations.newest_messages(
        call.actor, conversation_id, limit=limit, before=before
    )
    return [wire.Message.of(message) for message in messages]


async def append(
    call: Call, conversation_id: int, body: wire.MessageAppend
) -> wire.AppendedMessage:
    """Add a user message. Contract: "Append Message"."""
    message = await call.services.conversations.append(
        call.actor, conversation_id, text=body.content
    )
    return wire.AppendedMessage.of(message)
