"""The chapter "Conversations"."""

from palaver.dialects.streaming import wire
from palaver.web.call import Call


async def create(call: Call, body: wire.ConversationCreate) -> wire.Conversation:
    """Create a conversation. Contract: "Create Conversation"."""
    conversation = await call.services.conversations.create(call.actor, title=body.title)
    return wire.Conversation.of(conversation)


async def list_(
    call: Call,
    *,
    q: str = "",
    limit: wire.Limit = wire.LIST_LIMIT,
    before: wire.ItemId | None = None,
) -> list[wire.Conversation]:
    """List one's conversations, those whose title holds `q`. Contract: "List Conversations"."""
    page = await call.services.conversations.filter(
        call.actor, title_holds=q, default_title=wire.DEFAULT_TITLE, limit=limit, before=before
    )
    return [wire.Conversation.of(conversation) for conversation in page]


async def get(call: Call, conversation_id: int) -> wire.Conversation:
    """Get a conversation. Contract: "Get Conversation"."""
    conversation = await call.services.conversations.get(call.actor, conversation_id)
    return wire.Conversation.of(conversation)


async def rename(call: Call, conversation_id: int, body: wire.ConversationRename) -> wire.Notice:
    """Change a conversation's title. Contract: "Rename Conversation"."""
    await call.services.conversations.rename(call.actor, conversation_id, title=body.title)
    return wire.Notice("Conversation renamed")


async def delete(call: Call, conversation_id: int) -> wire.Notice:
    """Delete a conversation and all its messages. Contract: "Delete Conversation"."""
    await call.services.conversations.delete(call.actor, conversation_id)
    return wire.Notice("Conversation deleted")
