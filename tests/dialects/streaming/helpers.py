"""What most tests of the `streaming` contract begin with."""

from collections.abc import Sequence
from typing import Any, Final

from tests.contracts import examples
from tests.http import Answer, Event, Visitor

EXAMPLES: Final = examples("streaming")
NOWHERE: Final = 9_000_000
NO_GENERATION: Final = "01890a5d-ac96-774b-bcce-b302099a8057"


async def a_conversation(visitor: Visitor, *messages: str, title: str | None = None) -> int:
    """Return the id of a new conversation with these user messages."""
    answer = await visitor.post("/conversations", {} if title is None else {"title": title})
    id: int = answer.json["id"]
    for content in messages:
        answer = await visitor.post(f"/conversations/{id}/messages", {"content": content})
        assert answer.status == 200
    return id


async def the_answer(visitor: Visitor, id: int, **choice: Any) -> list[Event]:
    """Stream the answer in a conversation from its beginning to its end."""
    async with visitor.events(f"/conversations/{id}/stream", choice) as events:
        return await events.all()


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


def assert_error(answer: Answer, status: int, code: str) -> None:
    """Hold an answer to be exactly this failure."""
    assert (answer.status, answer.json["code"]) == (status, code), answer
    assert list(answer.json) == ["code", "message", "request_id"]
    assert answer.json["message"]
    assert answer.json["request_id"] == answer.headers["x-request-id"]
