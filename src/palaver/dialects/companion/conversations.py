"""The chapter "Conversations"."""

from palaver.dialects.companion import wire
from palaver.web.call import Call


async def list_(
    call: Call, *, skip: wire.Skip = 0, limit: wire.Limit = 100
) -> list[wire.Conversation]:
    """List one's conversations, newest first. Contract: "List Conversations"."""
    page = await call.services.conversations.list(call.actor, limit=limit, offset=skip)
    return [wire.Conversation.of(conversation) for conversation in page]


async def create(call: Call, body: wire.ConversationCreate) -> wire.Conversation:
    """Start an empty conversation. Contract: "Create Conversation"."""
    conversation = await call.services.conversations.create(call.actor, title=body.title)
    return wire.Conversation.of(conversation)
