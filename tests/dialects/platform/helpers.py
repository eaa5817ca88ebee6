"""What most tests of the `platform` contract begin with."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from tests.cast import PASSWORD
from tests.contracts import document, examples
from tests.http import Answer, Event, Visitor

ALIAS: Final = "claude-sonnet-4.5"
"""The name of the document's examples; `conftest.py` lets it mean the simulated model."""

EXAMPLES: Final = examples("platform")
FAILURES: Final[dict[int, Any]] = {
    int(status): json.loads(body)
    for status, body in re.findall(
        r"^### (\d{3}) [^\n]+\n```json\n(.*?)```", document("platform"), re.DOTALL | re.MULTILINE
    )
}
NOWHERE: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

CHATS: Final = "/api/v1/chats"
COMPLETIONS: Final = "/api/v1/chat/completions"
HELLO: Final = "Hello, world!"
"""What the simulated provider answers."""


def bearing(token: str) -> dict[str, str]:
    """Return the header of a call with a token."""
    return {"Authorization": f"Bearer {token}"}


async def tokens_of(visitor: Visitor, username: str, password: str = PASSWORD) -> dict[str, Any]:
    """Return the tokens of a new sign-in."""
    body = {"username": username, "password": password}
    answer = await visitor.post("/api/v1/auth/login", body)
    assert answer.status == 200, answer
    tokens: dict[str, Any] = answer.json
    return tokens


async def a_chat(visitor: Visitor, **body: Any) -> str:
    """Return the id of a new chat."""
    answer = await visitor.post(CHATS, body)
    assert answer.status == 200, answer
    id: str = answer.json["id"]
    return id


async def messages_of(visitor: Visitor, id: str, query: str = "") -> list[tuple[str, str]]:
    """Return who said what in a chat."""
    answer = await visitor.get(f"{CHATS}/{id}/messages{query}")
    assert answer.status == 200, answer
    return [(message["role"], message["content"]) for message in answer.json]


def saying(*contents: str, **more: Any) -> dict[str, Any]:
    """Return the body of "Send Message", the user and the assistant by turns, the user last."""
    roles = ["user", "assistant"]
    turns = [
        {"role": roles[(len(contents) - 1 - at) % 2], "content": content}
        for at, content in enumerate(contents)
    ]
    return {"messages": turns} | more


async def streamed(visitor: Visitor, body: dict[str, Any], **more: Any) -> list[Event]:
    """Ask, and return all events of the answer."""
    async with visitor.events(COMPLETIONS, body | {"stream": True}, **more) as events:
        return await events.all()


def text_of(events: Sequence[Event]) -> str:
    """Return the text that the events hold."""
    return "".join(event.data["text"] for event in events if event.data["type"] == "content")


def turns_of(seen: Any) -> list[tuple[str, str]]:
    """Return what the provider was sent."""
    return [(turn["role"], turn["content"]) for turn in seen.body["messages"]]


def assert_refused(answer: Answer, status: int, code: str, *, details: object = None) -> None:
    """Check a failure's whole shape; `details` are the wrong fields, None where there are none."""
    assert answer.status == status, answer
    wanted = ["error", "message"] if details is None else ["error", "message", "details"]
    assert list(answer.json) == wanted
    assert answer.json["error"] == code
    assert answer.json["message"]
    if details is not None:
        assert sorted(answer.json["details"]) == sorted(details)  # type: ignore[call-overload]
        assert all(answer.json["details"].values())
    assert ("retry-after" in answer.headers) == (status in {429, 503})
