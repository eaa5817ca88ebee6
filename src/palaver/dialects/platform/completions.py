"""The chapter "Chat Completions"."""

from palaver.dialects.platform import completions_wire as wire
from palaver.dialects.platform.stream import Asked, CompletionFrames, completion_of
from palaver.dialects.platform.wire import model_of_answer
from palaver.services.completions import RelayedAnswer
from palaver.web.call import Call
from palaver.web.streams import EventStream, read_all


async def send(call: Call, body: wire.CompletionRequest) -> wire.Completion | EventStream:
    """Ask for an answer, and wait for it or stream it. Contract: "Send Message".

    With `chat_id` the last message and the answer are stored. A request that holds only the new
    message is answered from the history of the chat; one that holds more is answered from what it
    holds. Without `chat_id` nothing is stored but the usage, and a client that leaves stops the
    answer. With `stream` the answer comes as server-sent events: `{"type": "content", "text"}` …,
    then `{"type": "done", "message"}`, or `{"type": "error", "error", "message"}`.

    `use_extended_thinking` lets the model think first: `thinking` tells what, in a stream as
    `{"type": "thinking", "text"}` before the rest. `use_rag` answers from the user's documents,
    `use_web_grounding` from the web: the answer holds `[index]`, `citations` what that stands for.
    A flag that is absent is left to the chat.
    """
    asked = await _ask(call, body.checked())
    if body.stream:
        frames = CompletionFrames(asked)
        return EventStream(asked.stream, frames, generation_uuid=asked.generation_uuid)
    return completion_of(asked, await read_all(asked.stream, call.request.receive))


async def _ask(call: Call, body: wire.CompletionRequest) -> Asked:
    if call.resumes is not None:
        return await _of_run(call, call.resumes)
    choice = await call.services.aliases.choose(call.actor, body.model, options=body.options)
    if body.key is None:
        return _of_nobody(await call.services.completions.open(call.actor, body.turns, choice))
    _, _, generation = await call.services.generations.send(
        call.actor, body.key, [("user", body.question)], choice, context=body.context
    )
    return await _of_run(call, generation.uuid)


async def _of_run(call: Call, generation_uuid: str) -> Asked:
    generations = call.services.generations
    _, answer = await generations.answer_of(call.actor, generation_uuid)
    options = (await generations.get(call.actor, generation_uuid)).options
    return Asked(
        id=f"cmpl-{generation_uuid}",
        message_id=answer.uuid,
        model=model_of_answer(answer.model, answer.asked_model),
        stream=await generations.follow(call.actor, generation_uuid),
        generation_uuid=generation_uuid,
        shows_thinking=bool(options.use_extended_thinking),
        shows_citations=bool(options.use_rag or options.use_web_grounding),
    )


def _of_nobody(answer: RelayedAnswer) -> Asked:
    id = f"cmpl-{answer.uuid}"
    return Asked(
        id=id,
        message_id=id,
        model=model_of_answer(answer.model, answer.asked_model),
        stream=answer.stream,
        generation_uuid=None,
        shows_thinking=bool(answer.options.use_extended_thinking),
        shows_citations=bool(answer.options.use_rag or answer.options.use_web_grounding),
    )
