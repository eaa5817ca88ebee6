"""The chapter "Messages"."""

from msgspec import UNSET

from palaver.dialects.companion import wire
from palaver.dialects.companion.stream import ChatFrames
from palaver.services.starting import Choice
from palaver.web.binding import Uuid
from palaver.web.call import Call
from palaver.web.streams import EventStream


async def list_(
    call: Call, conversation_id: Uuid, *, skip: wire.Skip = 0, limit: wire.Limit = 1000
) -> list[wire.Message]:
    """List the messages of a conversation, oldest first. Contract: "List Messages"."""
    page = await call.services.conversations.messages(
        call.actor, conversation_id, limit=limit, offset=skip
    )
    return [wire.Message.of(message) for message in page]


async def send(call: Call, body: wire.ChatRequest) -> wire.ChatAnswer | EventStream:
    """Say something, and wait for the answer. Contract: "Send Message".

    Without `conversation_id` a conversation begins with the earlier `messages`, and its id is
    added to the answer; with it they are left out, since it holds them. With `stream` the answer
    comes as server-sent events: `{"type": "content", "text"}` …, then `{"type": "done",
    "response", "message_id", "conversation_id"}`, or `{"type": "error", "error", "message"}`.
    """
    if call.resumes is not None:
        return await _follow(call, call.resumes)
    conversation, _, generation = await call.services.generations.send(
        call.actor, body.key, body.turns, Choice(), system_prompt=body.system_prompt
    )
    if body.stream:
        return await _follow(call, generation.uuid)
    answer = await call.services.generations.wait(call.actor, generation.uuid)
    return wire.ChatAnswer(answer.text, answer.uuid, UNSET if body.key else conversation.uuid)


async def _follow(call: Call, generation_uuid: str) -> EventStream:
    generations = call.services.generations
    conversation, answer = await generations.answer_of(call.actor, generation_uuid)
    reader = await generations.follow(call.actor, generation_uuid)
    frames = ChatFrames(conversation_id=conversation.uuid, message_id=answer.uuid)
    return EventStream(reader, frames, generation_uuid=generation_uuid)
