"""The chapter "Chat"."""

from palaver.dialects.streaming import wire
from palaver.dialects.streaming.stream import StreamFrames
from palaver.web.binding import Uuid
from palaver.web.call import Call
from palaver.web.resuming import last_seen
from palaver.web.streams import EventStream


async def stream(
    call: Call,
    conversation_id: int,
    body: wire.StreamRequest,
    *,
    after: wire.EventNumber | None = None,
) -> EventStream:
    """Stream the answer to the newest user message. Contract: "Stream Chat"."""
    seen = last_seen(call, after)
    generations = call.services.generations
    if call.resumes is None:
        run = await generations.answer(call.actor, conversation_id, body.choice, after=seen)
    else:
        run = await generations.get(call.actor, call.resumes)
    reader = await generations.follow(call.actor, run.uuid, after=seen or 0, begun=run)
    frames = StreamFrames(run, after=seen or 0)
    return EventStream(reader, frames, generation_uuid=run.uuid)


async def cancel(call: Call, generation_id: Uuid) -> wire.Notice:
    """Stop a generation that is under way. Contract: "Cancel Generation"."""
    await call.services.generations.cancel(call.actor, generation_id)
    return wire.Notice("Generation canceled")


async def retry(call: Call, body: wire.RetryRequest) -> wire.AppendedMessage:
    """Ask the newest user message again. Contract: "Retry Chat"."""
    message, _ = await call.services.generations.retry(
        call.actor, body.conversation_id, body.choice
    )
    return wire.AppendedMessage.of(message)
