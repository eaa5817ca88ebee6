"""The chapter "Chatbots"."""

from palaver.dialects.subscriptions import wire
from palaver.web.call import Call


async def list_(
    call: Call, *, limit: wire.Limit = wire.LIST_LIMIT, before: wire.ItemId | None = None
) -> list[wire.Chatbot]:
    """List whom one may talk to, newest first. Contract: "List Available Chatbots"."""
    chatbots = await call.services.chatbots.list(call.actor)
    page = wire.newest(chatbots, limit=limit, before=before)
    return [wire.Chatbot.of(chatbot) for chatbot in page]
