"""The JSON routes of the chapter "Chat Interface", for scripts on pages."""

from palaver.dialects.sessions.pages import wire
from palaver.domain.conversations import parse_new_chat
from palaver.web.binding import Uuid
from palaver.web.call import Call


async def create(call: Call, body: wire.NewSession) -> wire.Created:
    """Start an empty conversation. Contract: "Create Chat Session"."""
    title = parse_new_chat(body.title, max_length=wire.TITLE_MAX_LENGTH)
    conversation = await call.services.conversations.create(call.actor, title=title)
    return wire.Created.of(conversation)


async def rename(call: Call, session_id: Uuid, body: wire.Rename) -> wire.Done:
    """Change the title. Contract: "Rename Chat Session"."""
    title = parse_new_chat(body.title, max_length=wire.TITLE_MAX_LENGTH)
    await call.services.conversations.rename(call.actor, session_id, title=title)
    return wire.Done()


async def delete(call: Call, session_id: Uuid) -> wire.Done:
    """Delete a conversation. Contract: "Delete Chat Session"."""
    await call.services.conversations.delete(call.actor, session_id)
    return wire.Done()


async def load(call: Call, session_id: Uuid) -> wire.Loaded:
    """Return the newest 200 exchanges, oldest first. Contract: "Load Chat Session"."""
    transcript = await call.services.exchanges.transcript(call.actor, session_id)
    return wire.Loaded.of(transcript)
