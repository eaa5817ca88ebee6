"""All the ways in which a run is asked for, by contract: as a limit on runs has to meet them all."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from palaver.dialects import DIALECTS
from palaver.domain.limits import MONEY, Limit, Limited
from palaver.domain.tokens import PROMPT_OVERHEAD_TOKENS, estimate_turn_tokens
from palaver.services.prompts import worst_case
from tests.http import Answer, Visitor

TEXT: Final = "Why is the sky blue, and who has ever asked it to be of that colour? " * 40
"""So long that ten times what two contracts may add to it is less than one prompt more."""
PROMPT_TOKENS: Final = worst_case(estimate_turn_tokens(TEXT) + PROMPT_OVERHEAD_TOKENS + 20)
"""What is held for it, and a little more."""


def allowance_of(limit: Limit, *, answer_tokens: int, count: int) -> int:
    """Return what lets so many worst cases through, a token at a micro-dollar."""
    return count if is_counted(limit) else count * (PROMPT_TOKENS + answer_tokens)


def is_counted(limit: Limit) -> bool:
    """Tell whether a limit counts messages or pictures, and no tokens."""
    return limit.measure in {"messages", "free_messages", "images"}


class Asking(NamedTuple):
    """A request that starts a run, if the plan leaves room for one."""

    path: str
    body: Any


@dataclass(frozen=True)
class Way:
    """How one contract asks; `prepare` makes what the request needs, and starts nothing."""

    contract: str
    name: str
    prepare: Callable[[Visitor, str, str], Awaitable[Asking]]  # with the model's name and the text
    status: int = 200

    def __str__(self) -> str:
        return f"{self.contract}: {self.name}"


def _made(answer: Answer) -> Any:
    assert answer.status in {200, 201}, answer
    return answer.json


async def _question(visitor: Visitor, text: str) -> int:
    """Return the id of a new conversation that holds a question."""
    id: int = _made(await visitor.post("/conversations", {}))["id"]
    _made(await visitor.post(f"/conversations/{id}/messages", {"content": text}))
    return id


async def _session_chat(visitor: Visitor, _model: str, text: str) -> Asking:
    id = _made(await visitor.post("/api/v1/chat/sessions/", {}))["id"]
    return Asking(f"/api/v1/chat/sessions/{id}/chats/", {"message": text})


async def _send(visitor: Visitor, _model: str, text: str) -> Asking:
    # With a title of its own: the model is asked for none.
    id = _made(await visitor.post("/api/chat-sessions/", {"title": "Sky"}))["id"]
    return Asking(f"/api/chat-sessions/{id}/send/", {"message": text})


async def _edit(visitor: Visitor, _model: str, text: str) -> Asking:
    base = f"/api/chat-sessions/{await _question(visitor, text)}/messages/"
    (message,) = _made(await visitor.get(base))["messages"]
    return Asking(f"{base}{message['message_id']}/edit/", {"content": text})


async def _stream(visitor: Visitor, _model: str, text: str) -> Asking:
    return Asking(f"/conversations/{await _question(visitor, text)}/stream", {})


async def _retry(visitor: Visitor, _model: str, text: str) -> Asking:
    return Asking("/chat/retry", {"conversation_id": await _question(visitor, text)})


async def _completion(_visitor: Visitor, model: str, text: str) -> Asking:
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return Asking("/api/v1/chat/completions", body)


async def _streamed_completion(visitor: Visitor, model: str, text: str) -> Asking:
    path, body = await _completion(visitor, model, text)
    return Asking(path, body | {"stream": True})


async def _completion_in_a_chat(visitor: Visitor, model: str, text: str) -> Asking:
    path, body = await _completion(visitor, model, text)
    chat = _made(await visitor.post("/api/v1/chats", {"model": model}))
    return Asking(path, body | {"chat_id": chat["id"]})


async def _say(visitor: Visitor, _model: str, text: str) -> Asking:
    id = _made(await visitor.post("/api/palaver/conversations", {"title": "Sky"}))["id"]
    return Asking(f"/api/palaver/conversations/{id}/messages", {"content": text})


async def _chat(_visitor: Visitor, _model: str, text: str) -> Asking:
    return Asking("/api/chat", {"messages": [{"role": "user", "content": text}]})


async def _streamed_chat(visitor: Visitor, model: str, text: str) -> Asking:
    path, body = await _chat(visitor, model, text)
    return Asking(path, body | {"stream": True})


_ALL = (
    Way("sessions", "create a chat", _session_chat, status=201),
    Way("subscriptions", "send", _send, status=201),
    Way("subscriptions", "edit", _edit),
    Way("streaming", "stream", _stream),
    Way("streaming", "retry", _retry),
    Way("platform", "complete", _completion),
    Way("platform", "complete, streamed", _streamed_completion),
    Way("platform", "complete in a chat", _completion_in_a_chat),
    Way("companion", "chat", _chat),
    Way("companion", "chat, streamed", _streamed_chat),
    Way("native", "send", _say, status=201),
)
WAYS: Sequence[Way] = [way for way in _ALL if way.contract in {each.name for each in DIALECTS}]
"""Of the contracts that are served."""


PAINTER: Final = 2
"""The id of a chatbot that makes pictures: the first that is made after the seeded one."""


async def _painters_session(visitor: Visitor) -> int:
    """Return a new conversation with the painter, by its integer id."""
    body = {"title": "Sky", "chatbot_id": PAINTER}
    id: int = _made(await visitor.post("/api/chat-sessions/", body))["id"]
    return id


async def _painters_talk(visitor: Visitor) -> str:
    """Return a new conversation with the painter, by its uuid."""
    body = {"title": "Sky", "chatbot_id": PAINTER}
    id: str = _made(await visitor.post("/api/palaver/conversations", body))["id"]
    return id


async def _painters_question(visitor: Visitor, text: str) -> int:
    id = await _painters_session(visitor)
    _made(await visitor.post(f"/conversations/{id}/messages", {"content": text}))
    return id


async def _paint_in_sessions(visitor: Visitor, _model: str, text: str) -> Asking:
    path = f"/api/v1/chat/sessions/{await _painters_talk(visitor)}/chats/"
    return Asking(path, {"message": text})


async def _paint_in_subscriptions(visitor: Visitor, _model: str, text: str) -> Asking:
    path = f"/api/chat-sessions/{await _painters_session(visitor)}/send/"
    return Asking(path, {"message": text})


async def _paint_anew(visitor: Visitor, _model: str, text: str) -> Asking:
    base = f"/api/chat-sessions/{await _painters_question(visitor, text)}/messages/"
    (message,) = _made(await visitor.get(base))["messages"]
    return Asking(f"{base}{message['message_id']}/edit/", {"content": text})


async def _paint_in_streaming(visitor: Visitor, _model: str, text: str) -> Asking:
    return Asking(f"/conversations/{await _painters_question(visitor, text)}/stream", {})


async def _paint_again(visitor: Visitor, _model: str, text: str) -> Asking:
    return Asking("/chat/retry", {"conversation_id": await _painters_question(visitor, text)})


async def _paint_in_platform(visitor: Visitor, model: str, text: str) -> Asking:
    path, body = await _completion(visitor, model, text)
    return Asking(path, body | {"chat_id": await _painters_talk(visitor)})


async def _paint_in_companion(visitor: Visitor, model: str, text: str) -> Asking:
    path, body = await _chat(visitor, model, text)
    return Asking(path, body | {"conversation_id": await _painters_talk(visitor)})


async def _paint_in_native(visitor: Visitor, _model: str, text: str) -> Asking:
    id = await _painters_talk(visitor)
    return Asking(f"/api/palaver/conversations/{id}/messages", {"content": text})


PAINTING: Final[Sequence[Way]] = (
    Way("sessions", "paint", _paint_in_sessions, status=201),
    Way("subscriptions", "paint", _paint_in_subscriptions, status=201),
    Way("subscriptions", "paint anew", _paint_anew),
    Way("streaming", "paint", _paint_in_streaming),
    Way("streaming", "paint again", _paint_again),
    Way("platform", "paint", _paint_in_platform),
    Way("companion", "paint", _paint_in_companion),
    Way("native", "paint", _paint_in_native, status=201),
)
"""The ways to ask for a picture: a chatbot makes it, or a model that is named."""


def is_refused(way: Way, answer: Answer, limit: Limit) -> None:
    """Hold a refusal to name the limit, in the shape of its contract."""
    assert answer.status == 429, (str(way), answer)
    assert int(answer.headers["retry-after"]) >= 1
    body = answer.json
    match way.contract:
        case "sessions" | "companion":
            assert list(body) == ["detail"]
            sentence = body["detail"]
        case "subscriptions":
            assert list(body) == ["error", "detail", "limit", "window", "reset_at"]
            name = "max_openrouter_cost_usd" if limit.measure == MONEY else limit.attribute
            assert (body["limit"], body["window"]) == (name, limit.window.value)
            assert (body["reset_at"] is None) == (limit.window.value == "lifetime")
            sentence = body["detail"]
        case "streaming" | "native":
            assert list(body) == ["code", "message", "request_id"]
            assert body["code"] == "QUOTA_EXCEEDED"
            sentence = body["message"]
        case "platform":
            assert list(body) == ["error", "message"]
            assert body["error"] == "quota_exceeded"
            sentence = body["message"]
        case _:
            raise AssertionError(f"nobody knows how {way.contract} refuses")
    what, within = Limited(limit, 2).words.split(" ", maxsplit=2)[1:]
    assert re.match(rf"Your plan's limit of [0-9,.]+ {what} {within} leaves no room", sentence)
