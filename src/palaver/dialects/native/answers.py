"""The chapters "Options of a conversation" and "Sources of an answer"."""

from palaver.dialects.native import answers_wire as wire
from palaver.web.binding import Uuid
from palaver.web.call import Call


async def get_options(call: Call, conversation_id: Uuid) -> wire.Options:
    """Return how answers are made here. Contract: "Options of a conversation"."""
    options = await call.services.options.get(call.actor, conversation_id)
    return wire.Options.of(options)


async def change_options(
    call: Call, conversation_id: Uuid, body: wire.OptionsChange
) -> wire.Options:
    """Change how answers are made here. Contract: "Options of a conversation"."""
    options = await call.services.options.change(call.actor, conversation_id, body.given)
    return wire.Options.of(options)


async def list_sources(call: Call, message_id: Uuid) -> wire.AnswerSources:
    """Tell what an answer rests on. Contract: "Sources of an answer"."""
    found = await call.services.sources.of_answer(call.actor, message_id)
    return wire.AnswerSources.of(found)
