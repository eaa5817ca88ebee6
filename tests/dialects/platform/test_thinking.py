"""The chapter "Chat Completions": thinking before the answer."""

import pytest

from palaver.domain.models import ModelChange
from palaver.domain.users import SYSTEM
from tests.contracts import shape
from tests.dialects.platform.helpers import (
    CHATS,
    COMPLETIONS,
    EXAMPLES,
    HELLO,
    a_chat,
    assert_refused,
    saying,
    streamed,
    text_of,
)
from tests.fakes.scripts import Script
from tests.fakes.upstream import Upstream
from tests.http import Palaver, Visitor

THINKER = "sim/o3"
THOUGHTS = ("Let", " me", " think.")


@pytest.fixture(autouse=True)
async def thinker(palaver: Palaver, upstream: Upstream) -> str:
    """Give a model that thinks, as its name tells."""
    await palaver.services.registry.create(SYSTEM, THINKER, ModelChange())
    upstream.by_model["o3"] = Script(reasoning=THOUGHTS)
    return THINKER


def thinking(*contents: str, **more: object) -> dict[str, object]:
    """Return a request that wants the model to think first."""
    return saying(*contents, model=THINKER, use_extended_thinking=True, **more)


@pytest.mark.parametrize("is_in_chat", [True, False])
async def test_what_the_model_thought_is_told_beside_the_answer(
    owner: Visitor, *, is_in_chat: bool
) -> None:
    id = await a_chat(owner) if is_in_chat else None
    answer = await owner.post(COMPLETIONS, thinking("Hello", chat_id=id))
    assert answer.status == 200, answer
    assert answer.json["message"] == {
        "role": "assistant",
        "content": HELLO,
        "thinking": "Let me think.",
    }


@pytest.mark.parametrize("is_in_chat", [True, False])
async def test_thoughts_come_before_the_text_of_a_stream(
    owner: Visitor, *, is_in_chat: bool
) -> None:
    id = await a_chat(owner) if is_in_chat else None
    events = await streamed(owner, thinking("Hello", chat_id=id))
    kinds = list(dict.fromkeys(event.data["type"] for event in events))
    assert kinds == ["thinking", "content", "done"]
    thought = "".join(e.data["text"] for e in events if e.data["type"] == "thinking")
    assert thought == events[-1].data["message"]["thinking"] == "Let me think."
    assert text_of(events) == HELLO


async def test_nobody_is_told_what_was_not_asked_for(owner: Visitor) -> None:
    answer = await owner.post(COMPLETIONS, saying("Hello", model=THINKER))
    assert shape(answer.json) == shape(EXAMPLES["Send Message"].response)
    events = await streamed(owner, saying("Hello", model=THINKER))
    assert {event.data["type"] for event in events} == {"content", "done"}
    assert "thinking" not in events[-1].data["message"]


async def test_thinking_is_counted_in_usage(owner: Visitor, upstream: Upstream) -> None:
    thoughtful = await owner.post(COMPLETIONS, thinking("Hello"))
    upstream.by_model["o3"] = Script()
    plain = await owner.post(COMPLETIONS, saying("Hello", model=THINKER))
    assert thoughtful.json["tokens_used"] == plain.json["tokens_used"] + len(THOUGHTS)


async def test_a_model_that_does_not_think_is_not_asked(owner: Visitor, upstream: Upstream) -> None:
    id = await a_chat(owner)
    body = saying("Hello", chat_id=id, model="sim/sim", use_extended_thinking=True)
    answer = await owner.post(COMPLETIONS, body)
    message = '"sim/sim" has no extended thinking: choose a model that has, or do without.'
    assert_refused(answer, 400, "bad_request", details={"use_extended_thinking": message})
    assert upstream.requests == []
    assert (await owner.get(f"{CHATS}/{id}/messages")).json == []


async def test_thinking_must_fit_under_the_cap(owner: Visitor, upstream: Upstream) -> None:
    answer = await owner.post(COMPLETIONS, thinking("Hello", max_tokens=1024))
    assert (answer.status, list(answer.json["details"])) == (400, ["max_tokens"])
    assert upstream.requests == []
    assert (await owner.post(COMPLETIONS, thinking("Hello", max_tokens=1025))).status == 200


async def test_a_chat_can_be_told_to_think(owner: Visitor) -> None:
    id = await a_chat(owner, model=THINKER)
    options = f"/api/palaver/conversations/{id}/options"
    kept = await owner.patch(options, {"use_extended_thinking": True})
    assert kept.json == {
        "use_rag": None,
        "use_web_grounding": None,
        "use_extended_thinking": True,
    }
    answer = await owner.post(COMPLETIONS, saying("Hello", chat_id=id))
    assert answer.json["message"]["thinking"] == "Let me think."
    body = saying("Hello", chat_id=id, use_extended_thinking=False)
    assert "thinking" not in (await owner.post(COMPLETIONS, body)).json["message"]


async def test_flags_are_those_of_ones_own_chat_and_of_what_its_model_can_do(
    owner: Visitor, stranger: Visitor
) -> None:
    id = await a_chat(owner)
    options = f"/api/palaver/conversations/{id}/options"
    assert (await stranger.get(options)).status == 404
    assert (await stranger.patch(options, {"use_rag": True})).status == 404
    assert (await owner.get(options)).json["use_rag"] is None
    refused = await owner.patch(options, {"use_extended_thinking": True})
    assert (refused.status, list(refused.json["fields"])) == (400, ["use_extended_thinking"])
