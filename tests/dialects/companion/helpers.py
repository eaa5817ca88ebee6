"""What most tests of the `companion` contract begin with."""

from collections.abc import Sequence
from typing import Any, Final

from tests.cast import PASSWORD
from tests.contracts import examples
from tests.http import Answer, Event, Visitor

EXAMPLES: Final = examples("companion")
NOWHERE: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
NOT_SIGNED_IN: Final = {"detail": "Could not validate credentials"}
MISSING: Final = {"detail": "Resource not found"}


async def a_token(visitor: Visitor, username: str, password: str = PASSWORD) -> str:
    """Return an access token of somebody."""
    answer = await visitor.post("/token", {"username": username, "password": password})
    assert answer.status == 200, answer
    token: str = answer.json["access_token"]
    return token


def bearing(token: str) -> dict[str, str]:
    """Return the header of a call with a token."""
    return {"Authorization": f"Bearer {token}"}


async def a_conversation(visitor: Visitor, **body: Any) -> str:
    """Return the id of a new conversation."""
    answer = await visitor.post("/api/v1/conversations/", body)
    assert answer.status == 201, answer
    id: str = answer.json["id"]
    return id


async def messages_of(visitor: Visitor, id: str, query: str = "") -> list[tuple[str, str]]:
    """Return who said what in a conversation."""
    answer = await visitor.get(f"/api/v1/conversations/{id}/messages{query}")
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


def text_of(events: Sequence[Event]) -> str:
    """Return the text that the events hold."""
    return "".join(event.data["text"] for event in events if event.data["type"] == "content")


def problems(answer: Answer) -> list[tuple[list[str | int], str]]:
    """Return where something is wrong, and its type, in a refusal that lists fields."""
    assert answer.status == 422, answer
    assert list(answer.json) == ["detail"]
    for problem in answer.json["detail"]:
        assert list(problem) == ["loc", "msg", "type"]
        assert problem["msg"]
    return [(problem["loc"], problem["type"]) for problem in answer.json["detail"]]
