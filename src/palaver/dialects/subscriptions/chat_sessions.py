"""The chapter "Chat Sessions"."""

from collections.abc import Sequence
from typing import Final, TypeVar, cast
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from palaver.dialects.subscriptions import wire
from palaver.dialects.subscriptions.stream import SessionFrames
from palaver.domain.conversations import Conversation
from palaver.services.starting import Choice
from palaver.web.binding import Uuid
from palaver.web.call import Call
from palaver.web.resuming import last_seen
from palaver.web.streams import EventStream

S = TypeVar("S", bound=msgspec.Struct)
V = TypeVar("V")

_encode: Final = msgspec.json.Encoder().encode


async def list_(
    call: Call, *, limit: wire.Limit = wire.LIST_LIMIT, before: wire.ItemId | None = None
) -> list[wire.Session]:
    """List one's sessions, newest first. Contract: "List Chat Sessions"."""
    page = await call.services.conversations.list(call.actor, limit=limit, before=before)
    return await _shown(call, page)


async def create(call: Call, body: wire.SessionCreate) -> wire.Session:
    """Begin a session. Contract: "Create Chat Session"."""
    chatbot = await call.services.chatbots.choose(call.actor, body.chatbot_id)
    conversation = await call.services.conversations.create(
        call.actor,
        title=body.stored_title,
        chatbot_id=chatbot.id,
        model=await _model(call, body.ai_model_id),
        auto_titled=True,
    )
    return await _one(call, conversation)


async def get(call: Call, session_id: int) -> wire.Session:
    """Get a session. Contract: "Get Chat Session"."""
    return await _one(call, await call.services.conversations.get(call.actor, session_id))


async def update(call: Call, session_id: int, body: wire.SessionUpdate) -> wire.Session:
    """Change what is given of a session. Contract: "Update Chat Session".

    `is_active: false` puts it away; sending to it goes on to work.
    """
    conversations = call.services.conversations
    await conversations.get(call.actor, session_id)  # not there comes before not on offer
    if body.chatbot_id is not UNSET:
        await call.services.chatbots.choose(call.actor, body.chatbot_id)
    conversation = await conversations.update(
        call.actor,
        session_id,
        title=body.stored_title,
        chatbot_id=_given(body.chatbot_id),
        model=await _model(call, _given(body.ai_model_id)),
        is_auto_titled=_given(body.auto_generate_title),
        is_archived=None if body.is_active is UNSET else not body.is_active,
    )
    return await _one(call, conversation)


async def delete(call: Call, session_id: int) -> wire.Success:
    """Delete a session with everything in it. Contract: "Delete Chat Session"."""
    await call.services.conversations.delete(call.actor, session_id)
    return wire.Success()


async def list_messages(
    call: Call,
    session_id: int,
    *,
    limit: wire.Limit = wire.LIST_LIMIT,
    before: UUID | None = None,
) -> wire.Messages:
    """List the newest messages of a session, oldest first. Contract: "Get Session Messages"."""
    page = await call.services.conversations.newest_messages(
        call.actor, session_id, limit=limit, before=None if before is None else str(before)
    )
    return wire.Messages([wire.Message.of(message) for message in page])


async def send(call: Call, session_id: int, body: wire.MessageSend) -> wire.Sent:
    """Say something; the answer is written meanwhile. Contract: "Send Message to Session"."""
    _, message, _ = await call.services.generations.send(
        call.actor, session_id, [("user", body.text)], Choice()
    )
    return wire.Sent(wire.Message.of(message))


async def update_title(call: Call, session_id: int, body: wire.TitleUpdate) -> wire.TitleUpdated:
    """Rename a session. Contract: "Update Session Title"."""
    conversation = await call.services.conversations.rename(
        call.actor, session_id, title=body.stored_title
    )
    return wire.TitleUpdated.of(conversation)


async def edit_message(
    call: Call, session_id: int, message_id: Uuid, body: wire.MessageEdit
) -> wire.Edited:
    """Say something else instead, and have it answered anew. Contract: "Edit Message"."""
    edit = await call.services.generations.edit(
        call.actor, session_id, message_id, text=body.content
    )
    return wire.Edited(disabled_message_ids=list(edit.disabled))


async def follow(
    call: Call, session_id: int, *, after: wire.EventNumber | None = None
) -> EventStream:
    """Follow the answer that is being written, or the next one, to its end. Beyond the document.

    The events are `ping` (first, and after 15 seconds of silence), `delta`, `usage`, `error` and
    `done`, which is the last. Who comes back with the `id` of the last event seen, in
    `Last-Event-ID` or as `after`, gets what is missing; with that of a `done`, the next answer.
    """
    stream = await call.services.live.follow(
        call.actor, session_id, after=last_seen(call, after) or 0
    )
    return EventStream(stream, SessionFrames(stream), generation_uuid=None)


async def _model(call: Call, model_id: str | None) -> str | None:
    """Return the name of a model that the caller may ask, as it is stored."""
    if model_id is None:
        return None
    return (await call.services.models.choose(call.actor, model=model_id)).model.name


async def _one(call: Call, conversation: Conversation) -> wire.Session:
    (session,) = await _shown(call, [conversation])
    return session


async def _shown(call: Call, page: Sequence[Conversation]) -> list[wire.Session]:
    """Render sessions; the chatbots and models of a thousand are few, and each is encoded once."""
    bots = await call.services.chatbots.describe(call.actor, {each.chatbot_id for each in page})
    models = await call.services.models.describe(call.actor, {each.model for each in page})
    shown_bots = {id: _once(wire.Chatbot.of(bot)) for id, bot in bots.items()}
    shown_models = {name: _once(wire.AiModel.of(model)) for name, model in models.items()}
    return [
        wire.Session.of(each, shown_bots[each.chatbot_id], shown_models[each.model])
        for each in page
    ]


def _once(shape: S) -> S:
    """Encode a shape that stands in many places; the encoder takes such bytes as they are."""
    return cast(S, msgspec.Raw(_encode(shape)))


def _given(value: V | UnsetType) -> V | None:
    return None if value is UNSET else value
