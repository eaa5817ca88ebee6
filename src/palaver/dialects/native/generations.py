"""The chapter "Generations"."""

from palaver.dialects.native import generations_wire as wire
from palaver.dialects.native.messages_wire import Asking, Sent
from palaver.dialects.native.stream import GenerationFrames
from palaver.web.binding import Uuid
from palaver.web.call import Call
from palaver.web.resuming import last_seen
from palaver.web.streams import EventStream


async def get(call: Call, generation_id: Uuid) -> wire.Generation:
    """Tell how far the writing of an answer is. Contract: "Get Generation"."""
    return wire.Generation.of(await call.services.branches.run(call.actor, generation_id))


async def follow(
    call: Call, generation_id: Uuid, *, after: wire.EventNumber | None = None
) -> EventStream:
    """Follow an answer to its end. Contract: "Follow Generation".

    The first event is `ping`, which comes again after 15 seconds of silence; the last is `done` or
    `failed`. Who comes back with the `id` of the last event seen, in `Last-Event-ID` or as `after`,
    gets what is missing.
    """
    seen = last_seen(call, after) or 0
    run = await call.services.branches.run(call.actor, generation_id)
    reader = await call.services.generations.follow(call.actor, run.uuid, after=seen)
    return EventStream(reader, GenerationFrames(run, after=seen), generation_uuid=run.uuid)


async def retry(call: Call, generation_id: Uuid, body: Asking) -> Sent:
    """Ask the same again, in place of what was answered. Contract: "Retry Generation"."""
    branches = call.services.branches
    run = await branches.run(call.actor, generation_id)
    message, generation = await call.services.generations.retry(
        call.actor, run.conversation_uuid, body.choice, uuid=run.message_uuid
    )
    return Sent.of(*await branches.sent(call.actor, message, generation))


async def cancel(call: Call, generation_id: Uuid) -> wire.Generation:
    """Stop the writing of an answer; what was written stays. Contract: "Cancel Generation"."""
    await call.services.generations.cancel(call.actor, generation_id)
    return wire.Generation.of(await call.services.branches.run(call.actor, generation_id))
