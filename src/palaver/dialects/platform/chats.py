"""The chapter "Chats"."""

from palaver.dialects.platform import wire
from palaver.web.binding import Uuid
from palaver.web.call import Call


async def create(call: Call, body: wire.ChatCreate) -> wire.Chat:
    """Start an empty chat. Contract: "Create Chat"."""
    title, metadata = body.stored_title, body.stored_metadata
    choice = await call.services.aliases.choose(call.actor, body.model)
    chat = await call.services.conversations.create(
        call.actor,
        title=title,
        system_prompt=body.system_prompt or None,
        model=choice.model,
        asked_model=choice.asked_model,
        metadata=metadata,
    )
    return wire.Chat.of(chat, user_id=call.actor.owner_uuid)


async def list_(
    call: Call,
    *,
    include_archived: bool = False,
    limit: wire.Limit = 50,
    offset: wire.Offset = 0,
) -> list[wire.Chat]:
    """List one's chats, newest first. Contract: "Get Chats"."""
    page = await call.services.conversations.list(
        call.actor, limit=limit, offset=offset, with_archived=include_archived
    )
    user_id = call.actor.owner_uuid
    return [wire.Chat.of(chat, user_id=user_id) for chat in page]


async def get(call: Call, chat_id: Uuid) -> wire.Chat:
    """Return one chat. Contract: "Get Chat"."""
    chat = await call.services.conversations.get(call.actor, chat_id)
    return wire.Chat.of(chat, user_id=call.actor.owner_uuid)


async def update(call: Call, chat_id: Uuid, body: wire.ChatUpdate) -> wire.Chat:
    """Rename a chat, put it away or take it out again. Contract: "Update Chat"."""
    chat = await call.services.conversations.update(
        call.actor, chat_id, title=body.stored_title, is_archived=body.stored_is_archived
    )
    return wire.Chat.of(chat, user_id=call.actor.owner_uuid)


async def delete(call: Call, chat_id: Uuid) -> wire.Notice:
    """Delete a chat. Contract: "Delete Chat"."""
    await call.services.conversations.delete(call.actor, chat_id)
    return wire.Notice("Chat deleted successfully")


async def list_messages(
    call: Call, chat_id: Uuid, *, limit: wire.Limit = 100, offset: wire.Offset = 0
) -> list[wire.Message]:
    """List the messages of a chat, oldest first. Contract: "Get Messages"."""
    page = await call.services.conversations.messages(
        call.actor, chat_id, limit=limit, offset=offset
    )
    return [wire.Message.of(message, chat_id=chat_id) for message in page]
