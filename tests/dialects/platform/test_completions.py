"""The chapter "Chat Completions": in a chat, waited for and streamed."""

from typing import Any

import pytest

from palaver.domain.plans import PlanChange
from palaver.domain.users import SYSTEM
from tests.contracts import shape
from tests.dialects.platform.helpers import (
    ALIAS,
    CHATS,
    COMPLETIONS,
    EXAMPLES,
    FAILURES,
    HELLO,
    NOWHERE,
    a_chat,
    assert_refused,
    messages_of,
    saying,
    streamed,
    text_of,
    turns_of,
)
from tests.fakes.scripts import Failure, Script, error
from tests.fakes.upstream import Upstream
from tests.http import Palaver, Visitor, settled

WRONG: list[tuple[Any, list[str]]] = [
    ({}, ["messages"]),
    ({"messages": []}, ["messages"]),
    ({"messages": None}, ["messages"]),
    ({"messages": ["x"]}, ["messages.0"]),
    (saying("  "), ["messages.0.content"]),
    (saying("a", "b", "a\0b"), ["messages.2.content"]),
    ({"messages": [{"role": "assistant", "content": "x"}]}, ["messages.0.role"]),
    (
        {"messages": [{"role": "tool", "content": 1}, {"role": "user"}]},
        ["messages.0.role", "messages.0.content", "messages.1.content"],
    ),
    (saying("x", chat_id="7"), ["chat_id"]),
    (saying("x", chat_id=7), ["chat_id"]),
    (saying("x", stream="yes"), ["stream"]),
    (saying("x", model=""), ["model"]),
    (saying("x", temperature=2.1, max_tokens=0, top_p=-1), ["temperature", "max_tokens", "top_p"]),
    (saying("x", temperature="1", max_tokens=1_000_001), ["temperature", "max_tokens"]),
    (saying("x", max_tokens=1.5), ["max_tokens"]),
    (saying("x", use_rag="no"), ["use_rag"]),
    (
        saying("x", use_web_grounding=1, use_extended_thinking=0),
        ["use_web_grounding", "use_extended_thinking"],
    ),
    # What the model, or the server, cannot do.
    (saying("x", use_extended_thinking=True), ["use_extended_thinking"]),
    (saying("x", use_web_grounding=True), ["use_web_grounding"]),
]
FAILED = [
    (error(500, "No."), 502, "provider_error"),
    (Script(failure=Failure.RESET, after=0), 502, "provider_error"),
    (error(429, "No.", headers={"Retry-After": "7"}), 503, "unavailable"),
]


@pytest.mark.parametrize("is_in_chat", [True, False])
async def test_an_answer_is_given_as_documented(owner: Visitor, *, is_in_chat: bool) -> None:
    example = EXAMPLES["Send Message"]
    id = await a_chat(owner) if is_in_chat else None
    answer = await owner.post(COMPLETIONS, example.request | {"chat_id": id})
    assert answer.status == 200
    assert shape(answer.json) == shape(example.response)
    assert answer.json["id"].startswith("cmpl-")
    assert answer.json["model"] == example.request["model"]
    assert answer.json["message"] == {"role": "assistant", "content": HELLO}
    assert answer.json["tokens_used"] > 0
    assert answer.json["finish_reason"] == "stop"


async def test_in_a_chat_question_and_answer_are_stored(owner: Visitor) -> None:
    id = await a_chat(owner)
    answer = await owner.post(COMPLETIONS, saying("Hello", chat_id=id, model=ALIAS))
    _, said = (await owner.get(f"{CHATS}/{id}/messages")).json
    assert said["content"] == answer.json["message"]["content"]
    assert (said["model"], said["tokens_used"]) == (ALIAS, answer.json["tokens_used"])
    assert (await owner.get(f"{CHATS}/{id}")).json["model"] == ALIAS


async def test_a_new_message_alone_is_answered_from_the_history(
    owner: Visitor, upstream: Upstream
) -> None:
    id = await a_chat(owner, system_prompt="Be brief.")
    await owner.post(COMPLETIONS, saying("one", chat_id=id))
    await owner.post(COMPLETIONS, saying("two", chat_id=id))
    told = [("system", "Be brief."), ("user", "one"), ("assistant", HELLO), ("user", "two")]
    assert turns_of(await upstream.request(2)) == told


async def test_a_request_with_a_history_of_its_own_is_answered_from_that(
    owner: Visitor, upstream: Upstream
) -> None:
    id = await a_chat(owner, system_prompt="Be brief.")
    await owner.post(COMPLETIONS, saying("one", chat_id=id))
    body = saying("said", "", "elsewhere", "indeed", "two", chat_id=id)
    body["messages"].insert(0, {"role": "system", "content": "Be kind."})
    await owner.post(COMPLETIONS, body)
    assert turns_of(await upstream.request(2)) == [
        ("system", "Be brief.\n\nBe kind."),
        ("user", "said\n\nelsewhere"),  # turns of one speaker are one
        ("assistant", "indeed"),
        ("user", "two"),
    ]
    stored = [("user", "one"), ("assistant", HELLO), ("user", "two"), ("assistant", HELLO)]
    assert await messages_of(owner, id) == stored
    await owner.post(COMPLETIONS, saying("three", chat_id=id))
    assert turns_of(await upstream.request(3))[1:] == [*stored, ("user", "three")]


async def test_how_the_model_is_asked_reaches_it(owner: Visitor, upstream: Upstream) -> None:
    for number, id in enumerate((await a_chat(owner), None), start=1):
        body = saying("x", chat_id=id, temperature=0.7, top_p=0.5, max_tokens=4000)
        await owner.post(COMPLETIONS, body)
        sent = (await upstream.request(number)).body
        assert (sent["model"], sent["temperature"], sent["top_p"]) == ("sim", 0.7, 0.5)
        assert 4000 in {sent.get("max_tokens"), sent.get("max_completion_tokens")}


async def test_without_a_model_the_chats_own_is_asked_and_named(owner: Visitor) -> None:
    id = await a_chat(owner, model=ALIAS)
    answer = await owner.post(COMPLETIONS, saying("x", chat_id=id))
    assert answer.json["model"] == ALIAS
    answer = await owner.post(COMPLETIONS, saying("x"))
    assert answer.json["model"] == "sim/sim"


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_every_wrong_field_is_named(
    owner: Visitor, upstream: Upstream, *, is_streamed: bool
) -> None:
    for body, fields in WRONG:
        given = body if "stream" in body else body | {"stream": is_streamed}
        answer = await owner.post(COMPLETIONS, given)
        assert_refused(answer, 400, "bad_request", details=fields)
    assert not upstream.requests


async def test_what_is_too_long_for_the_model_is_refused(owner: Visitor) -> None:
    id = await a_chat(owner)
    answer = await owner.post(COMPLETIONS, saying("never so long " * 50_000, chat_id=id))
    assert_refused(answer, 400, "bad_request", details=["messages"])
    assert await messages_of(owner, id) == []


async def test_flags_that_are_not_set_change_nothing(owner: Visitor) -> None:
    for value in (False, None):
        flags = dict.fromkeys(("use_web_grounding", "use_extended_thinking", "use_rag"), value)
        assert (await owner.post(COMPLETIONS, saying("x", **flags))).status == 200


async def test_an_unknown_model_is_refused(owner: Visitor, upstream: Upstream) -> None:
    id = await a_chat(owner)
    for model in ("gpt-4", "sim/other", "nobody/sim"):
        for key in (id, None):
            answer = await owner.post(COMPLETIONS, saying("x", model=model, chat_id=key))
            assert_refused(answer, 400, "bad_request")
    assert await messages_of(owner, id) == []
    assert not upstream.requests


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_chat_of_nobody_or_another_is_not_found(
    owner: Visitor, stranger: Visitor, *, is_streamed: bool
) -> None:
    id = await a_chat(owner)
    for visitor, key in ((stranger, id), (owner, NOWHERE)):
        answer = await visitor.post(COMPLETIONS, saying("x", chat_id=key, stream=is_streamed))
        assert (answer.status, answer.json) == (404, FAILURES[404])


@pytest.mark.parametrize("is_in_chat", [True, False])
@pytest.mark.parametrize(("script", "status", "code"), FAILED)
async def test_a_provider_that_fails_is_told_apart(
    owner: Visitor, upstream: Upstream, script: Script, status: int, code: str, *, is_in_chat: bool
) -> None:
    upstream.default = script
    id = await a_chat(owner) if is_in_chat else None
    assert_refused(await owner.post(COMPLETIONS, saying("x", chat_id=id)), status, code)
    (event,) = await streamed(owner, saying("x", chat_id=id))
    assert list(event.data) == ["type", "error", "message"]
    assert (event.data["type"], event.data["error"]) == ("error", code)
    if id is not None:
        assert await messages_of(owner, id) == [("user", "x"), ("user", "x")]


@pytest.mark.parametrize("is_in_chat", [True, False])
async def test_an_answer_is_streamed_as_it_comes(owner: Visitor, *, is_in_chat: bool) -> None:
    id = await a_chat(owner) if is_in_chat else None
    events = await streamed(owner, saying("x", chat_id=id, model=ALIAS))
    assert all(event.id is None and event.name is None for event in events)
    *contents, done = [event.data for event in events]
    assert {tuple(data) for data in contents} == {("type", "text")}
    assert text_of(events) == HELLO
    assert list(done) == ["type", "message"]
    message = done["message"]
    assert list(message) == ["id", "role", "content", "model", "tokens_used", "finish_reason"]
    assert (message["role"], message["content"], message["model"]) == ("assistant", HELLO, ALIAS)
    assert message["tokens_used"] > 0
    assert message["finish_reason"] == "stop"
    if id is None:
        assert message["id"].startswith("cmpl-")
    else:
        _, said = (await owner.get(f"{CHATS}/{id}/messages")).json
        assert (said["id"], said["content"]) == (message["id"], HELLO)


@pytest.mark.parametrize("is_in_chat", [True, False])
async def test_what_the_model_thinks_is_not_shown(
    owner: Visitor, upstream: Upstream, *, is_in_chat: bool
) -> None:
    upstream.default = Script(reasoning=("Let", " me", " think."))
    id = await a_chat(owner) if is_in_chat else None
    events = await streamed(owner, saying("x", chat_id=id))
    assert {event.data["type"] for event in events} == {"content", "done"}
    assert text_of(events) == HELLO
    answer = await owner.post(COMPLETIONS, saying("x", chat_id=id))
    assert list(answer.json) == list(EXAMPLES["Send Message"].response)


@pytest.mark.parametrize("is_in_chat", [True, False])
@pytest.mark.parametrize(
    ("reason", "shown"), [("length", "length"), ("content_filter", "error"), ("stop", "stop")]
)
async def test_an_answer_says_why_it_has_ended(
    owner: Visitor, upstream: Upstream, reason: str, shown: str, *, is_in_chat: bool
) -> None:
    upstream.default = Script(finish_reason=reason)
    id = await a_chat(owner) if is_in_chat else None
    assert (await owner.post(COMPLETIONS, saying("x", chat_id=id))).json["finish_reason"] == shown
    *_, done = await streamed(owner, saying("x", chat_id=id))
    assert done.data["message"]["finish_reason"] == shown


async def test_a_reader_who_leaves_a_chat_does_not_stop_the_answer(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(delay_seconds=0.02))
    id = await a_chat(owner)
    async with owner.events(COMPLETIONS, saying("x", chat_id=id, stream=True)) as events:
        await anext(events)

    async def is_answered() -> bool:
        return await messages_of(owner, id) == [("user", "x"), ("assistant", HELLO)]

    await settled(is_answered)


async def test_what_is_stopped_elsewhere_ends_as_canceled(
    palaver: Palaver, owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(words=("Hello", *[" again"] * 500), delay_seconds=0.02))
    id = await a_chat(owner)
    async with owner.events(COMPLETIONS, saying("x", chat_id=id, stream=True)) as events:
        first = await anext(events)
        async with palaver.house.db.read() as tx:
            conversation = await tx.conversations.find(id, owner_id=owner.user.id)
            assert conversation is not None
            (run,) = await tx.generations.live_of_conversation(conversation.id)
        answer = await owner.post(f"/chat/cancel/{run.uuid}")
        assert answer.status == 200, answer
        rest = await events.all()
    message = rest[-1].data["message"]
    assert message["finish_reason"] == "canceled"
    assert message["content"] == text_of([first, *rest])


async def test_a_plan_that_is_used_up_says_so(
    palaver: Palaver, owner: Visitor, upstream: Upstream
) -> None:
    async with palaver.house.db.read() as tx:
        (plan,) = await tx.plans.all()
    await palaver.services.plans.update(SYSTEM, plan.id, PlanChange(hourly_max_messages=2))
    id = await a_chat(owner)
    assert (await owner.post(COMPLETIONS, saying("x", chat_id=id))).status == 200
    assert (await owner.post(COMPLETIONS, saying("x"))).status == 200
    for key in (id, None):
        for is_streamed in (False, True):
            body = saying("x", chat_id=key, stream=is_streamed)
            assert_refused(await owner.post(COMPLETIONS, body), 429, "quota_exceeded")
    assert len(upstream.requests) == 2
    assert len(await messages_of(owner, id)) == 2


class TestIdempotency:
    """One request that is sent again."""

    KEY = {"Idempotency-Key": "a key"}  # noqa: RUF012  # a constant

    @pytest.mark.parametrize("is_in_chat", [True, False])
    async def test_a_repeat_gets_the_first_answer_byte_for_byte(
        self, owner: Visitor, upstream: Upstream, *, is_in_chat: bool
    ) -> None:
        body = saying("x", chat_id=await a_chat(owner) if is_in_chat else None)
        first = await owner.post(COMPLETIONS, body, headers=self.KEY)
        again = await owner.post(COMPLETIONS, body, headers=self.KEY)
        assert (again.status, again.content) == (first.status, first.content)
        assert len(upstream.requests) == 1

    @pytest.mark.parametrize("is_in_chat", [True, False])
    async def test_a_repeat_of_a_stream_is_the_same_answer(
        self, owner: Visitor, upstream: Upstream, *, is_in_chat: bool
    ) -> None:
        body = saying("x", chat_id=await a_chat(owner) if is_in_chat else None)
        first = await streamed(owner, body, headers=self.KEY)
        again = await streamed(owner, body, headers=self.KEY)
        assert again[-1] == first[-1]
        assert text_of(again) == text_of(first) == HELLO
        assert len(upstream.requests) == 1

    async def test_a_stream_that_failed_or_was_left_is_asked_anew(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        upstream.plan(Script(failure=Failure.CUT), Script(delay_seconds=0.05))
        (*_, failed) = await streamed(owner, saying("x"), headers=self.KEY)
        assert failed.data["type"] == "error"
        body = saying("x", stream=True)
        async with owner.events(COMPLETIONS, body, headers=self.KEY) as events:
            await anext(events)
            during = await owner.post(COMPLETIONS, body, headers=self.KEY)
        assert_refused_as_under_way(during)

        async def is_free() -> bool:
            async with owner.open("POST", COMPLETIONS, body, headers=self.KEY) as response:
                return response.status == 200

        await settled(is_free)

    async def test_another_request_with_the_key_is_refused(self, owner: Visitor) -> None:
        await owner.post(COMPLETIONS, saying("x"), headers=self.KEY)
        answer = await owner.post(COMPLETIONS, saying("y"), headers=self.KEY)
        assert_refused(answer, 400, "bad_request")


def assert_refused_as_under_way(answer: Any) -> None:
    assert (answer.status, answer.json["error"]) == (409, "conflict")
    assert "retry-after" in answer.headers


async def test_an_overloaded_provider_tells_how_long_to_wait(
    owner: Visitor, upstream: Upstream
) -> None:
    overloaded = error(429, "No.", headers={"Retry-After": "90"})
    upstream.plan(overloaded, overloaded)
    for id in (await a_chat(owner), None):
        answer = await owner.post(COMPLETIONS, saying("Hello", chat_id=id))
        assert (answer.status, answer.headers["retry-after"]) == (503, "90")
