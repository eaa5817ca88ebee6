"""The chapter "Chat API"."""

from palaver.dialects.sessions import wire
from palaver.dialects.sessions.paging import links
from palaver.services.starting import Choice
from palaver.web.binding import Uuid
from palaver.web.call import Call


async def list_sessions(call: Call, *, page: wire.PageNumber = "1") -> wire.SessionPage:
    """List one's sessions, newest first, with their newest 50 chats.

    Contract: "List Chat Sessions".
    """
    found = await call.services.exchanges.list_transcripts(
        call.actor, page=wire.parse_page(page), size=wire.PAGE_SIZE
    )
    return wire.SessionPage(
        found.total, *links(call, found), [wire.Session.of_transcript(each) for each in found.items]
    )


async def create_session(call: Call, body: wire.SessionCreate) -> wire.Session:
    """Start an empty session. Contract: "Create Chat Session"."""
    conversation = await call.services.conversations.create(call.actor, title=body.stored_title)
    return wire.Session.of(conversation)


async def get_session(call: Call, session_id: Uuid) -> wire.Session:
    """Return a session with its newest 200 chats. Contract: "Get Specific Session"."""
    transcript = await call.services.exchanges.transcript(call.actor, session_id)
    return wire.Session.of_transcript(transcript)


async def rename_session(call: Call, session_id: Uuid, body: wire.SessionUpdate) -> wire.Session:
    """Rename a session. Beyond the document."""
    await call.services.conversations.rename(call.actor, session_id, title=body.stored_title)
    transcript = await call.services.exchanges.transcript(call.actor, session_id)
    return wire.Session.of_transcript(transcript)


async def delete_session(call: Call, session_id: Uuid) -> None:
    """Delete a session with everything in it. Beyond the document."""
    await call.services.conversations.delete(call.actor, session_id)


async def list_chats(call: Call, session_id: Uuid, *, page: wire.PageNumber = "1") -> wire.ChatPage:
    """List the chats of a session, oldest first. Contract: "List Chats in Session"."""
    found = await call.services.exchanges.list(
        call.actor, session_id, page=wire.parse_page(page), size=wire.PAGE_SIZE
    )
    return wire.ChatPage(
        found.total, *links(call, found), [wire.Chat.of(each) for each in found.items]
    )


async def create_chat(call: Call, session_id: Uuid, body: wire.ChatCreate) -> wire.Chat:
    """Say something, and wait for the answer. Contract: "Create Chat in Session"."""
    generations = call.services.generations
    _, question, generation = await generations.send(
        call.actor, session_id, [("user", body.text)], Choice()
    )
    answer = await generations.wait(call.actor, generation.uuid)
    return wire.Chat(question.id, question.text, answer.text, wire.render_time(question.created_at))


async def get_chat(call: Call, session_id: Uuid, chat_id: int) -> wire.Chat:
    """Return a chat of a session. Contract: "Get Specific Chat"."""
    return wire.Chat.of(await call.services.exchanges.get(call.actor, session_id, chat_id))


async def delete_chat(call: Call, session_id: Uuid, chat_id: int) -> None:
    """Delete a message with its answer; what follows stays. Beyond the document."""
    await call.services.exchanges.delete(call.actor, session_id, chat_id)
