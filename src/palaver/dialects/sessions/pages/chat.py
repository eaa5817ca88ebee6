"""The pages of the chapter "Chat Interface": reading, and sending without scripts."""

import asyncio
import contextlib
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec.structs import replace
from starlette.responses import RedirectResponse, Response

from palaver.dialects.sessions.errors import meaning
from palaver.dialects.sessions.pages import addresses
from palaver.dialects.sessions.pages.chat_page import SIZE, Draft, Place, View, render
from palaver.domain.errors import DomainError, ErrorKind, InvalidInput
from palaver.domain.users import Actor
from palaver.services.starting import Choice
from palaver.web.binding import Uuid
from palaver.web.bodies import INT64_MAX
from palaver.web.call import Call

WAIT_SECONDS: Final = 50.0
"""How long a page waits for an answer: proxies give up on what is silent for a minute."""

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Id: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=INT64_MAX)]


class Sending(msgspec.Struct, frozen=True):
    """What the form of a conversation sends."""

    text: str = ""
    once: str = ""  # the same in every repeat of one form
    answers: str = ""  # the uuid of a question that was asked already, and not answered
    csrf_token: str = ""


async def home(call: Call, *, new: bool = False, page: Number = 1) -> Response:
    """Show the newest conversation, or an empty one. Contract: "Chat Home"."""
    newest = () if new else await call.services.conversations.list(call.actor, limit=1)
    return await _page(call, newest[0].uuid if newest else None, Place(page=page))


async def show(
    call: Call,
    session_id: Uuid,
    *,
    before: Id | None = None,
    after: Id | None = None,
    page: Number = 1,
) -> Response:
    """Show a conversation, the newest messages first. Contract: "View Chat Session"."""
    return await _page(call, session_id, Place(before, after, page))


async def begin(call: Call, body: Sending) -> Response:
    """Ask something in a new conversation, and go there. Beyond the document."""
    return await _send(call, None, body)


async def send(call: Call, session_id: Uuid, body: Sending) -> Response:
    """Ask something, wait for the answer, and show it. Beyond the document."""
    return await _send(call, session_id, body)


async def _page(call: Call, key: str | None, place: Place, draft: Draft | None = None) -> Response:
    conversations = await call.services.conversations.list(
        call.actor, limit=SIZE + 1, offset=(place.page - 1) * SIZE
    )
    window = None
    if key is not None:
        window = await call.services.conversations.window(
            call.actor, key, size=SIZE, before=place.before, after=place.after
        )
    user = await call.services.accounts.me(call.actor)
    return render(call, View(user, conversations, window, place, draft or Draft()))


async def _send(call: Call, key: str | None, body: Sending) -> Response:
    # Browsers write the ends of lines as the standard of forms has it.
    body = replace(body, text=body.text.replace("\r\n", "\n"))
    call.actor = _repeatable(call.actor, body)
    question: str | None = None
    try:
        key, question, generation = await _start(call, key, body)
        # Whoever waits longer than that reads on: the page says that the answer is being written.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                await call.services.generations.wait(call.actor, generation)
    except DomainError as error:
        if error.kind is ErrorKind.NOT_FOUND:
            raise
        return await _page(call, key, Place(), _refused(body, error, question))
    return RedirectResponse(addresses.chat(key), 303)


async def _start(call: Call, key: str | None, body: Sending) -> tuple[str, str, str]:
    """Start a run; return the uuids of the conversation, the question and the run."""
    generations = call.services.generations
    if key is not None and body.answers and (asked := await _asked(call, key, body.answers)):
        if body.text in {"", asked}:
            generation = await generations.answer(call.actor, key, Choice())
        else:
            edit = await generations.edit(call.actor, key, body.answers, text=body.text)
            generation = edit.generation
        return key, body.answers, generation.uuid
    conversation, question, generation = await generations.send(
        call.actor, key, [("user", body.text)], Choice()
    )
    return conversation.uuid, question.uuid, generation.uuid


async def _asked(call: Call, key: str, uuid: str) -> str | None:
    """Return the text of the newest question, if it is the one with this uuid."""
    newest = await call.services.conversations.newest_messages(call.actor, key, limit=2)
    questions = [message for message in newest if message.role == "user"]
    return questions[-1].text if questions and questions[-1].uuid == uuid else None


def _repeatable(actor: Actor, body: Sending) -> Actor:
    """Let a form that is sent twice ask once; with another text it is another question."""
    if not body.once or actor.repeat_key is not None:
        return actor
    key = f"page/{actor.owner_id}/{body.once}/{body.text}"
    return replace(actor, repeat_key=key)


def _refused(body: Sending, error: DomainError, question: str | None) -> Draft:
    status, _ = meaning(error.kind)
    fault = error.message
    if isinstance(error, InvalidInput):
        fault = " ".join(fault.message for fault in error.faults)
    elif question is not None:
        fault = f"{fault} Your message is kept: send it again, or change it first."
    return Draft(
        text=body.text,
        fault=fault,
        status=status,
        answers=question or body.answers,
        retry_after_seconds=error.retry_after_seconds,
    )
