"""The chapter "Chat"."""

from palaver.dialects.streaming import wire
from palaver.dialects.streaming.stream import StreamFrames
from palaver.domain.errors import Fault, InvalidInput
from palaver.web.binding import Uuid
from palaver.web.bodies import INT64_MAX
from palaver.web.call import Call
from palaver.web.streams import EventStream


async def stream(
    call: Call,
    conversation_id: int,
    body: wire.StreamRequest,
    *,
    after: wire.EventNumber | None = None,
) -> EventStream:
    """Stream the answer to the newest user message. Contract: "Stream Chat"."""
    seen = _last_seen(call, after)
    generations = call.services.generations
    if call.resumes is None:
        run = await generations.answer(call.actor, conversation_id, body.choice, after=seen)
    else:
        run = await generations.get(call.actor, call.resumes)
    reader = await generations.follow(call.actor, run.uuid, after=seen or 0)
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


def _last_seen(call: Call, after: int | None) -> int | None:
    """Return the number up to which the client has read; the header is newer than the URL."""
    header = call.header(b"last-event-id")
    if not header:
        return after
    if not (header.isascii() and header.isdigit() and len(header) <= 19):
        raise _no_event_number()
    if (number := int(header)) > INT64_MAX:
        raise _no_event_number()
    return number


def _no_event_number() -> InvalidInput:
    message = "This is the id of no event."
    return InvalidInput.of("Last-Event-ID", Fault.WRONG_FORMAT, message, place="header")
