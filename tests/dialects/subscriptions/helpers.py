"""What most tests of the `subscriptions` contract begin with."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from tests.contracts import examples
from tests.http import Answer, Event, Events, Visitor, settled

EXAMPLES: Final = examples("subscriptions")
SESSIONS: Final = "/api/chat-sessions/"
NOWHERE: Final = 9_000_000
NO_MESSAGE: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
ANSWER: Final = "Hello, world!"
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def put(visitor: Visitor, id: int, body: Any, **more: Any) -> Answer:
    """Change a session."""
    return await visitor.request("PUT", f"{SESSIONS}{id}/", body, **more)


async def a_session(visitor: Visitor, **body: Any) -> int:
    """Return the id of a new session."""
    answer = await visitor.post(SESSIONS, body)
    assert answer.status == 201, answer
    id: int = answer.json["id"]
    return id


async def the_session(visitor: Visitor, id: int) -> Any:
    """Return a session."""
    answer = await visitor.get(f"{SESSIONS}{id}/")
    assert answer.status == 200, answer
    return answer.json


async def messages_of(visitor: Visitor, id: int, query: str = "") -> list[Any]:
    """Return the messages of a session."""
    answer = await visitor.get(f"{SESSIONS}{id}/messages/{query}")
    assert answer.status == 200, answer
    assert list(answer.json) == ["messages"]
    found: list[Any] = answer.json["messages"]
    return found


async def said(visitor: Visitor, id: int, query: str = "") -> list[tuple[str, str]]:
    """Return who said what in a session."""
    shown = await messages_of(visitor, id, query)
    return [(message["message_type"], message["content"]) for message in shown]


async def sent(visitor: Visitor, id: int, text: str) -> Any:
    """Say something, and return the message without waiting for its answer."""
    answer = await visitor.post(f"{SESSIONS}{id}/send/", {"message": text})
    assert answer.status == 201, answer
    return answer.json["user_message"]


async def asked(visitor: Visitor, id: int, text: str) -> Any:
    """Say something, wait for its answer, and return the message."""
    before = len(await messages_of(visitor, id))
    message = await sent(visitor, id, text)

    async def is_answered() -> bool:
        return len(await messages_of(visitor, id)) == before + 2

    await settled(is_answered)
    return message


@asynccontextmanager
async def following(
    visitor: Visitor, id: int, query: str = "", **headers: str
) -> AsyncIterator[Events]:
    """Follow a session; `Last_Event_ID` is a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"{SESSIONS}{id}/events/{query}"
    async with visitor.open("GET", path, headers=named) as response:
        assert response.status == 200, await response.text()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Events(response)


def text_of(events: Sequence[Event]) -> str:
    """Return the text that the deltas hold."""
    return "".join(event.data["delta"] for event in events if event.name == "delta")


def names_of(events: Sequence[Event]) -> list[str | None]:
    """Return the names of events, neighbouring deltas as one."""
    names: list[str | None] = []
    for event in events:
        if event.name != "delta" or names[-1:] != ["delta"]:
            names.append(event.name)
    return names


def assert_error(answer: Answer, status: int, phrase: str, detail: str | None = None) -> None:
    """Hold an answer to be exactly this failure."""
    assert (answer.status, answer.json["error"]) == (status, phrase), answer
    assert list(answer.json) == ["error", "detail"]
    assert answer.json["detail"]
    if detail is not None:
        assert answer.json["detail"] == detail
