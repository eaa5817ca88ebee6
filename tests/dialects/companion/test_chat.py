"""The chapter "Send Message": waiting for an answer, and streaming it."""

from typing import Any

import pytest

from tests.contracts import shape
from tests.dialects.companion.helpers import (
    EXAMPLES,
    MISSING,
    NOWHERE,
    a_conversation,
    messages_of,
    problems,
    saying,
    text_of,
)
from tests.fakes.scripts import Failure, Script, error
from tests.fakes.upstream import Upstream
from tests.http import Event, Visitor, settled

CHAT = "/api/chat"
ANSWER = "Hello, world!"
WRONG: list[tuple[Any, list[tuple[list[str | int], str]]]] = [
    ({}, [(["body", "messages"], "missing")]),
    ({"messages": []}, [(["body", "messages"], "too_short")]),
    ({"messages": None}, [(["body", "messages"], "list_type")]),
    ({"messages": ["x"]}, [(["body", "messages", 0], "model_attributes_type")]),
    (saying("  "), [(["body", "messages", 0, "content"], "string_too_short")]),
    (saying("x", conversation_id="7"), [(["body", "conversation_id"], "uuid_parsing")]),
    (saying("x", conversation_id=7), [(["body", "conversation_id"], "uuid_type")]),
    (saying("x", stream="yes"), [(["body", "stream"], "bool_type")]),
    (
        {"messages": [{"role": "assistant", "content": "x"}]},
        [(["body", "messages", 0, "role"], "literal_error")],
    ),
    (
        {"messages": [{"role": "tool", "content": 1}, {"role": "user"}], "stream": None},
        [
            (["body", "messages", 0, "role"], "literal_error"),
            (["body", "messages", 0, "content"], "string_type"),
            (["body", "messages", 1, "content"], "missing"),
            (["body", "stream"], "bool_type"),
        ],
    ),
]


def turns_of(seen: Any) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in seen.body["messages"]]


async def streamed(visitor: Visitor, body: dict[str, Any], **more: Any) -> list[Event]:
    async with visitor.events(CHAT, body | {"stream": True}, **more) as events:
        return await events.all()


async def test_an_answer_is_given_as_documented(owner: Visitor) -> None:
    example = EXAMPLES["Send Message"]
    id = await a_conversation(owner)
    answer = await owner.post(CHAT, example.request | {"conversation_id": id})
    assert answer.status == 200
    assert shape(answer.json) == shape(example.response)
    assert answer.json["response"] == ANSWER
    listed = (await owner.get(f"/api/v1/conversations/{id}/messages")).json
    assert [message["content"] for message in listed] == ["Hello!", ANSWER]
    assert listed[1]["id"] == answer.json["message_id"]


async def test_without_a_conversation_one_begins_with_what_was_said_before(
    owner: Visitor, upstream: Upstream
) -> None:
    answer = await owner.post(CHAT, saying("one", "two", "three"))
    assert list(answer.json) == ["response", "message_id", "conversation_id"]
    said = [("user", "one"), ("assistant", "two"), ("user", "three")]
    id = answer.json["conversation_id"]
    assert await messages_of(owner, id) == [*said, ("assistant", ANSWER)]
    assert turns_of(await upstream.request(1)) == said


async def test_a_conversation_that_goes_on_takes_the_last_message_only(
    owner: Visitor, upstream: Upstream
) -> None:
    id = (await owner.post(CHAT, saying("one"))).json["conversation_id"]
    await owner.post(CHAT, saying("one", ANSWER, "two", conversation_id=id))
    said = [("user", "one"), ("assistant", ANSWER), ("user", "two")]
    assert await messages_of(owner, id) == [*said, ("assistant", ANSWER)]
    assert turns_of(await upstream.request(2)) == said


async def test_a_system_message_is_the_system_prompt(owner: Visitor, upstream: Upstream) -> None:
    told = {"role": "system", "content": "Be brief."}
    body = {"messages": [told, {"role": "user", "content": "Hello"}]}
    id = (await owner.post(CHAT, body)).json["conversation_id"]
    assert await messages_of(owner, id) == [("user", "Hello"), ("assistant", ANSWER)]
    assert turns_of(await upstream.request(1)) == [("system", "Be brief."), ("user", "Hello")]
    told["content"] = "Be long."
    await owner.post(CHAT, body | {"conversation_id": id})
    assert turns_of(await upstream.request(2))[0] == ("system", "Be long.")
    await owner.post(CHAT, saying("And now?", conversation_id=id))
    assert turns_of(await upstream.request(3))[0] == ("system", "Be long.")


async def test_every_wrong_field_is_named(owner: Visitor, upstream: Upstream) -> None:
    for body, expected in WRONG:
        assert problems(await owner.post(CHAT, body)) == expected
    assert not upstream.requests


async def test_a_role_that_there_is_not_is_told_which_there_are(owner: Visitor) -> None:
    answer = await owner.post(CHAT, {"messages": [{"role": "x", "content": "x"}]})
    assert answer.json["detail"][0]["msg"] == "Input should be 'system', 'user' or 'assistant'"


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_conversation_of_nobody_or_another_is_not_found(
    owner: Visitor, stranger: Visitor, *, is_streamed: bool
) -> None:
    id = await a_conversation(owner)
    for visitor, key in ((stranger, id), (owner, NOWHERE)):
        body = saying("Hello", conversation_id=key, stream=is_streamed)
        answer = await visitor.post(CHAT, body)
        assert (answer.status, answer.json) == (404, MISSING)


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        (error(500, "No."), 502, "provider_error"),
        (Script(failure=Failure.RESET, after=0), 502, "provider_error"),
        (error(429, "No.", headers={"Retry-After": "7"}), 503, "unavailable"),
    ],
)
async def test_a_provider_that_fails_is_told_apart(
    owner: Visitor, upstream: Upstream, script: Script, status: int, code: str
) -> None:
    upstream.default = script
    answer = await owner.post(CHAT, saying("Hello"))
    assert answer.status == status
    assert list(answer.json) == ["detail"]
    assert ("retry-after" in answer.headers) == (status == 503)
    events = await streamed(owner, saying("Hello"))
    assert [list(event.data) for event in events] == [["type", "error", "message"]]
    assert (events[0].data["type"], events[0].data["error"]) == ("error", code)


async def test_after_a_failure_the_question_is_kept(owner: Visitor, upstream: Upstream) -> None:
    upstream.default = error(500, "No.")
    id = await a_conversation(owner)
    await owner.post(CHAT, saying("Hello", conversation_id=id))
    assert await messages_of(owner, id) == [("user", "Hello")]


async def test_an_answer_is_streamed_as_it_comes(owner: Visitor) -> None:
    events = await streamed(owner, saying("Hello"))
    assert all(event.id is None and event.name is None for event in events)
    *contents, done = [event.data for event in events]
    assert {tuple(data) for data in contents} == {("type", "text")}
    assert text_of(events) == ANSWER
    assert list(done) == ["type", "response", "message_id", "conversation_id"]
    assert (done["type"], done["response"]) == ("done", ANSWER)
    listed = await owner.get(f"/api/v1/conversations/{done['conversation_id']}/messages")
    assert listed.json[1]["id"] == done["message_id"]
    assert listed.json[1]["content"] == ANSWER


async def test_what_the_model_thinks_is_not_streamed(owner: Visitor, upstream: Upstream) -> None:
    upstream.plan(Script(reasoning=("Let", " me", " think.")))
    events = await streamed(owner, saying("Hello"))
    assert text_of(events) == ANSWER
    assert {event.data["type"] for event in events} == {"content", "done"}


async def test_a_reader_who_leaves_does_not_stop_the_answer(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(delay_seconds=0.02))
    id = await a_conversation(owner)
    body = saying("Hello", conversation_id=id, stream=True)
    async with owner.events(CHAT, body) as events:
        await anext(events)

    async def is_answered() -> bool:
        return await messages_of(owner, id) == [("user", "Hello"), ("assistant", ANSWER)]

    await settled(is_answered)


class TestIdempotency:
    """One request that is sent again."""

    KEY = {"Idempotency-Key": "a key"}  # noqa: RUF012  # a constant

    async def test_a_repeat_gets_the_first_answer_byte_for_byte(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        first = await owner.post(CHAT, saying("Hello"), headers=self.KEY)
        again = await owner.post(CHAT, saying("Hello"), headers=self.KEY)
        assert (again.status, again.content) == (first.status, first.content)
        assert again.headers["content-type"] == first.headers["content-type"]
        assert len(upstream.requests) == 1

    async def test_a_repeat_of_a_stream_follows_the_same_run(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        first = await streamed(owner, saying("Hello"), headers=self.KEY)
        again = await streamed(owner, saying("Hello"), headers=self.KEY)
        assert again[-1] == first[-1]
        assert text_of(again) == text_of(first)
        assert len(upstream.requests) == 1

    async def test_a_repeat_joins_a_stream_that_is_under_way(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        upstream.plan(Script(delay_seconds=0.05))
        body = saying("Hello", stream=True)
        async with owner.events(CHAT, body, headers=self.KEY) as events:
            await anext(events)
            again = await streamed(owner, saying("Hello"), headers=self.KEY)
        assert text_of(again) == ANSWER
        assert len(upstream.requests) == 1

    async def test_another_request_with_the_key_is_refused(self, owner: Visitor) -> None:
        await owner.post(CHAT, saying("Hello"), headers=self.KEY)
        answer = await owner.post(CHAT, saying("Goodbye"), headers=self.KEY)
        assert problems(answer) == [(["header", "Idempotency-Key"], "value_error")]

    async def test_a_failure_of_the_provider_is_not_kept(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        upstream.plan(error(500, "No."), error(500, "No."), error(500, "No."))
        assert (await owner.post(CHAT, saying("Hello"), headers=self.KEY)).status == 502
        assert (await owner.post(CHAT, saying("Hello"), headers=self.KEY)).status == 200
