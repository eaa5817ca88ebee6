"""The chapter "Messages"."""

import msgspec
import pytest

from palaver.dialects.streaming import wire
from palaver.domain.conversations import Message
from tests.contracts import shape
from tests.dialects.streaming.helpers import EXAMPLES, a_conversation, assert_error, the_answer
from tests.fakes.scripts import Failure, Script
from tests.fakes.upstream import Upstream
from tests.http import Visitor


async def test_a_message_is_appended_as_documented(owner: Visitor) -> None:
    example = EXAMPLES["Append Message"]
    id = await a_conversation(owner)
    answer = await owner.post(f"/conversations/{id}/messages", example.request)
    assert answer.status == 200
    assert shape(answer.json) == shape(example.response)
    assert answer.json["conversation_id"] == id


async def test_messages_are_listed_as_documented(owner: Visitor, upstream: Upstream) -> None:
    example = EXAMPLES["List Messages"].response
    upstream.plan(Script(words=(example[1]["content"],)))
    id = await a_conversation(owner, example[0]["content"])
    await the_answer(owner, id)
    answer = await owner.get(f"/conversations/{id}/messages")
    assert answer.status == 200
    assert shape(answer.json) == shape(example)
    assert [item["content"] for item in answer.json] == [item["content"] for item in example]


async def test_messages_come_oldest_first(owner: Visitor) -> None:
    id = await a_conversation(owner, "one", "two", "three")
    messages = (await owner.get(f"/conversations/{id}/messages")).json
    assert [message["content"] for message in messages] == ["one", "two", "three"]
    assert [message["id"] for message in messages] == sorted(message["id"] for message in messages)


async def test_limit_and_before_page_back_from_the_newest(owner: Visitor) -> None:
    id = await a_conversation(owner, *(f"m{number}" for number in range(5)))
    pages = []
    query = "?limit=2"
    while page := (await owner.get(f"/conversations/{id}/messages{query}")).json:
        pages.append([message["content"] for message in page])
        query = f"?limit=2&before={page[0]['id']}"
    assert pages == [["m3", "m4"], ["m1", "m2"], ["m0"]]


async def test_a_conversation_without_messages_lists_none(owner: Visitor) -> None:
    id = await a_conversation(owner)
    assert (await owner.get(f"/conversations/{id}/messages")).json == []


@pytest.mark.parametrize(
    "body", [None, {}, {"content": None}, {"content": " \n"}, {"content": 1}, {"content": "a\0b"}]
)
async def test_a_message_without_words_is_refused(owner: Visitor, body: object) -> None:
    id = await a_conversation(owner)
    answer = await owner.post(f"/conversations/{id}/messages", body)
    assert_error(answer, 400, "VALIDATION_ERROR")
    assert (await owner.get(f"/conversations/{id}/messages")).json == []


async def test_a_text_comes_back_as_it_was_sent(owner: Visitor) -> None:
    text = "  Tabs\t, lines\r\n\n and \u2028 \U0001f600 e\u0301 نص  "
    id = await a_conversation(owner, text)
    assert (await owner.get(f"/conversations/{id}/messages")).json[0]["content"] == text


async def test_without_the_providers_figures_an_answer_shows_our_count(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(usage=None))
    id = await a_conversation(owner, "Hello")
    await the_answer(owner, id)
    question, answer = (await owner.get(f"/conversations/{id}/messages")).json
    assert "token_usage" not in question
    assert answer["token_usage"]["total_tokens"] > 0


async def test_no_answer_is_listed_before_it_has_ended(owner: Visitor, upstream: Upstream) -> None:
    upstream.plan(Script(failure=Failure.STALL, after=2))
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        await events.until("delta")
        messages = (await owner.get(f"/conversations/{id}/messages")).json
    assert [message["role"] for message in messages] == ["user"]


def test_an_answer_of_which_nothing_is_known_shows_null() -> None:
    message = Message(
        id=2,
        uuid="",
        conversation_id=1,
        parent_id=1,
        role="assistant",
        text="Hello",
        text_tokens=2,
        model=None,
        prompt_tokens=None,
        completion_tokens=None,
        is_active=1,
        is_hidden=0,
        created_at=0,
        edited_at=None,
    )
    assert msgspec.json.encode(wire.Message.of(message)) == (
        b'{"id":2,"role":"assistant","content":"Hello","token_usage":null,'
        b'"created_at":"1970-01-01T00:00:00.000000"}'
    )
