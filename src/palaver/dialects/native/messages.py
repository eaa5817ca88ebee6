"""The chapter "Messages"."""

from palaver.dialects.native import messages_wire as wire
from palaver.dialects.native.wire import Limit
from palaver.services.branches import PAGE
from palaver.web.binding import Uuid
from palaver.web.call import Call


async def list_(
    call: Call, conversation_id: Uuid, *, cursor: str | None = None, limit: Limit = PAGE
) -> wire.Messages:
    """List the newest messages of a conversation, oldest first. Contract: "List Messages"."""
    found = await call.services.branches.page(
        call.actor, conversation_id, cursor=cursor, limit=limit
    )
    return wire.Messages.of(found)


async def send(call: Call, conversation_id: Uuid, body: wire.MessageSend) -> wire.Sent:
    """Say something; the answer is written meanwhile. Contract: "Send Message"."""
    _, message, generation = await call.services.generations.send(
        call.actor,
        conversation_id,
        [("user", body.content)],
        body.choice,
        parent_id=body.parent,
        image_ids=body.images,
    )
    return wire.Sent.of(*await call.services.branches.sent(call.actor, message, generation))
