"""The chapter "Chatbots"."""

from palaver.dialects.native import catalogue_wire, wire
from palaver.dialects.native.images_wire import ImageUpload
from palaver.domain.cursors import LIMIT
from palaver.web.call import Call


async def list_(
    call: Call, *, cursor: str | None = None, limit: wire.Limit = LIMIT
) -> catalogue_wire.Chatbots:
    """List all chatbots, oldest first. Contract: "List Chatbots"."""
    found = await call.services.chatbots.list_all(call.actor, cursor=cursor, limit=limit)
    return catalogue_wire.Chatbots.of(found)


async def create(call: Call, body: catalogue_wire.ChatbotCreate) -> catalogue_wire.Chatbot:
    """Make a chatbot. Contract: "Create Chatbot"."""
    return catalogue_wire.Chatbot.of(await call.services.chatbots.create(call.actor, body.change))


async def get(call: Call, chatbot_id: int) -> catalogue_wire.Chatbot:
    """Get a chatbot. Contract: "Get Chatbot"."""
    return catalogue_wire.Chatbot.of(await call.services.chatbots.get(call.actor, chatbot_id))


async def update(
    call: Call, chatbot_id: int, body: catalogue_wire.ChatbotUpdate
) -> catalogue_wire.Chatbot:
    """Change what is said of a chatbot. Contract: "Update Chatbot"."""
    chatbot = await call.services.chatbots.update(call.actor, chatbot_id, body.change)
    return catalogue_wire.Chatbot.of(chatbot)


async def give_image(call: Call, chatbot_id: int, body: ImageUpload) -> catalogue_wire.Chatbot:
    """Give a chatbot another picture. Contract: "Give Chatbot Image"."""
    file = body.file
    chatbot = await call.services.portraits.give(
        call.actor, chatbot_id, file.content, size_bytes=file.size_bytes
    )
    return catalogue_wire.Chatbot.of(chatbot)


async def delete(call: Call, chatbot_id: int) -> None:
    """Remove a chatbot that no conversation is with. Contract: "Delete Chatbot"."""
    await call.services.chatbots.delete(call.actor, chatbot_id)
