"""The chapter "Conversations"."""

from palaver.dialects.native import conversations_wire as wire
from palaver.dialects.native.wire import Limit
from palaver.domain.cursors import LIMIT
from palaver.web.binding import Uuid
from palaver.web.call import Call


async def list_(
    call: Call, *, archived: bool | None = None, cursor: str | None = None, limit: Limit = LIMIT
) -> wire.Conversations:
    """List one's conversations, the last changed first. Contract: "List Conversations"."""
    found = await call.services.conversations.page(
        call.actor, is_archived=archived, cursor=cursor, limit=limit
    )
    return wire.Conversations.of(found)


async def create(call: Call, body: wire.ConversationCreate) -> wire.Conversation:
    """Begin a conversation. Contract: "Create Conversation"."""
    if body.chatbot_id is not None:
        await call.services.chatbots.choose(call.actor, body.chatbot_id)
    conversation = await call.services.conversations.create(
        call.actor,
        title=body.title,
        system_prompt=body.system_prompt,
        model=await _model(call, body.model),
        chatbot_id=body.chatbot_id,
        auto_titled=True,
    )
    return wire.Conversation.of(conversation)


async def get(call: Call, conversation_id: Uuid) -> wire.Conversation:
    """Get a conversation. Contract: "Get Conversation"."""
    conversation = await call.services.conversations.get(call.actor, conversation_id)
    return wire.Conversation.of(conversation)


async def update(
    call: Call, conversation_id: Uuid, body: wire.ConversationUpdate
) -> wire.Conversation:
    """Change what is given of a conversation. Contract: "Update Conversation"."""
    conversations = call.services.conversations
    await conversations.get(call.actor, conversation_id)  # not there comes before not on offer
    if body.chatbot_id is not None:
        await call.services.chatbots.choose(call.actor, body.chatbot_id)
    conversation = await conversations.update(
        call.actor,
        conversation_id,
        title=body.title,
        is_archived=body.archived,
        chatbot_id=body.chatbot_id,
        model=await _model(call, body.model),
    )
    return wire.Conversation.of(conversation)


async def delete(call: Call, conversation_id: Uuid) -> None:
    """Delete a conversation with everything in it. Contract: "Delete Conversation"."""
    await call.services.conversations.delete(call.actor, conversation_id)


async def _model(call: Call, name: str | None) -> str | None:
    """Return the name of a model that the caller may ask, as it is stored."""
    if name is None:
        return None
    return (await call.services.models.choose(call.actor, model=name)).model.name
