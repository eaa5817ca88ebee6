"""The chapters "Messages" and "Generations"."""

import asyncio

import pytest

from tests.contracts import shape
from tests.dialects.native.helpers import EXAMPLES, all_of, assert_error
from tests.dialects.native.talking import (
    ANSWER,
    CONVERSATIONS,
    GENERATIONS,
    NOWHERE,
    NOWHERES,
    a_conversation,
    asked,
    ended,
    followed,
    following,
    messages_of,
    send,
    sent,
    text_of,
)
from tests.fakes.scripts import Failure, Script, error
from tests.fakes.upstream import Upstream
from tests.http import Palaver, Visitor

SLOW = Script(words=tuple(f" word{at}" for at in range(60)), delay_seconds=0.02)
ENDLESS = Script(words=(" word",) * 5_000, delay_seconds=0.01)


async def test_a_message_is_sent_and_answered_as_documented(owner: Visitor) -> None:
    id = await a_conversation(owner)
    example = EXAMPLES["Send Message"]
    told = await sent(owner, id, **example.request)
    assert shape(told) == shape(example.response)
    message, generation = told["message"], told["generation"]
    assert message["content"] == example.request["content"]
    assert message["generation"]["id"] == generation["id"]
    assert (generation["conversation_id"], generation["message_id"]) == (id, message["id"])
    over = await ended(owner, generation["id"])
    assert (over["state"], over["error"], over["model"]) == ("completed", None, "sim/sim")
    assert over["finished_at"] > over["created_at"]
    question, reply = await messages_of(owner, id)
    assert question == message | {"generation": message["generation"] | {"state": "completed"}}
    assert (reply["id"], reply["parent_id"]) == (generation["answer_id"], message["id"])
    assert (reply["content"], reply["role"], reply["has_sources"]) == (ANSWER, "assistant", False)
    assert reply["generation"] == question["generation"]
    example = EXAMPLES["List Messages"].response["items"]
    assert shape(reply) == shape(example[1])
    assert shape(question) == shape(example[0] | {"images": []})


async def test_how_the_model_is_asked_goes_upstream(owner: Visitor, upstream: Upstream) -> None:
    id = await a_conversation(owner, system_prompt="Be brief.")
    await asked(owner, id, temperature=0.5, top_p=0.9, max_tokens=77, model="sim/sim")
    (request,) = [seen.body for seen in upstream.requests if seen.body]
    assert (request["temperature"], request["top_p"]) == (0.5, 0.9)
    assert 77 in (request.get("max_tokens"), request.get("max_completion_tokens"))
    assert request["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_what_is_wrong_is_named_and_nothing_is_kept(owner: Visitor) -> None:
    id = await a_conversation(owner)
    for body, *fields in (
        ({"content": " "}, "content"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": -1, "max_tokens": 0}, "top_p", "max_tokens"),
        ({"parent_id": "x"}, "parent_id"),
        ({"image_ids": ["x"]}, "image_ids.0"),
        ({"image_ids": None}, "image_ids"),
        ({"use_rag": 1}, "use_rag"),
        ({"use_extended_thinking": True}, "use_extended_thinking"),
        ({"content": "nul\0"}, "content"),
    ):
        answer = await send(owner, id, **({"content": "Hi"} | body))
        assert_error(answer, 400, "INVALID_INPUT", *fields)
    assert_error(await send(owner, id, model="sim/none"), 400, "MODEL_NOT_FOUND")
    assert await messages_of(owner, id) == []


class TestParents:
    """Whoever names the message below which they write learns that others were there."""

    async def test_the_end_of_the_conversation_is_a_parent(self, owner: Visitor) -> None:
        id = await a_conversation(owner)
        first = await asked(owner, id, parent_id=None)
        second = await asked(owner, id, parent_id=first["generation"]["answer_id"])
        assert second["message"]["parent_id"] == first["generation"]["answer_id"]
        assert len(await messages_of(owner, id)) == 4

    async def test_a_stale_one_is_a_conflict_that_keeps_nothing(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        id = await a_conversation(owner)
        told = await asked(owner, id)
        upstream.requests.clear()
        for parent_id in (None, told["message"]["id"]):
            assert_error(await send(owner, id, parent_id=parent_id), 409, "CONFLICT")
        assert len(await messages_of(owner, id)) == 2
        assert upstream.requests == []

    async def test_one_that_has_left_the_branch_is_stale(self, owner: Visitor) -> None:
        id = await a_conversation(owner)
        told = await asked(owner, id)
        key = next(
            each["id"]
            for each in (await owner.get("/api/chat-sessions/")).json
            if each["title"] == "A walk"
        )
        path = f"/api/chat-sessions/{key}/messages/{told['message']['id']}/edit/"
        assert (await owner.post(path, {"content": "Anew"})).status == 200
        gone = told["generation"]["answer_id"]
        assert_error(await send(owner, id, parent_id=gone), 409, "CONFLICT")

    async def test_what_is_elsewhere_is_no_parent(self, owner: Visitor, stranger: Visitor) -> None:
        id = await a_conversation(owner)
        others = await asked(stranger, await a_conversation(stranger))
        mine = await asked(owner, await a_conversation(owner))
        for parent_id in (others["message"]["id"], mine["message"]["id"], NOWHERE):
            assert_error(await send(owner, id, parent_id=parent_id), 404, "NOT_FOUND")
        assert await messages_of(owner, id) == []

    async def test_of_two_who_write_below_the_same_message_one_is_late(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        id = await a_conversation(owner)
        told = await asked(owner, id)
        parent_id = told["generation"]["answer_id"]
        upstream.gate.clear()
        answers = await asyncio.gather(
            *(send(owner, id, f"{at}", parent_id=parent_id) for at in range(5))
        )
        upstream.gate.set()
        assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409]

    async def test_an_answer_that_never_came_is_in_nobody_s_way(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        id = await a_conversation(owner)
        upstream.plan(error(400, "No."))
        told = await asked(owner, id)
        await asked(owner, id, parent_id=told["message"]["id"])
        shown = await messages_of(owner, id)
        assert [each["role"] for each in shown] == ["user", "user", "assistant"]
        assert shown[1]["parent_id"] == shown[0]["id"]
        failed = shown[0]["generation"]
        assert (failed["state"], failed["error"]["code"]) == ("failed", "PROVIDER_FAILED")


async def test_the_newest_messages_come_first_and_the_cursor_goes_back(owner: Visitor) -> None:
    id = await a_conversation(owner)
    for number in range(3):
        await asked(owner, id, f"{number}")
    whole = await messages_of(owner, id)
    assert [each["content"] for each in whole] == ["0", ANSWER, "1", ANSWER, "2", ANSWER]
    page = (await owner.get(f"{CONVERSATIONS}/{id}/messages?limit=4")).json
    assert page["items"] == whole[2:]
    before = await owner.get(f"{CONVERSATIONS}/{id}/messages?limit=4&cursor={page['next']}")
    assert before.json == {"items": whole[:2], "next": None}
    backwards = await all_of(owner, f"{CONVERSATIONS}/{id}/messages", limit=1)
    assert backwards == whole[::-1]
    for query, field in (("cursor=x", "cursor"), ("limit=0", "limit")):
        answer = await owner.get(f"{CONVERSATIONS}/{id}/messages?{query}")
        assert_error(answer, 400, "INVALID_INPUT", field)


async def test_a_repeat_says_nothing_twice(owner: Visitor) -> None:
    id = await a_conversation(owner)
    headers = {"Idempotency-Key": "once"}
    path = f"{CONVERSATIONS}/{id}/messages"
    first = await owner.post(path, {"content": "Hello"}, headers=headers)
    again = await owner.post(path, {"content": "Hello"}, headers=headers)
    assert (again.status, again.json) == (201, first.json)
    await ended(owner, first.json["generation"]["id"])
    assert len(await messages_of(owner, id)) == 2


class TestGenerations:
    """Followed, left, come back to, stopped."""

    async def test_an_answer_is_followed_to_its_end(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        upstream.default = SLOW
        told = await sent(owner, await a_conversation(owner))
        generation = told["generation"]
        assert generation["state"] == "running"
        events = await followed(owner, generation["id"])
        assert text_of(events) == "".join(SLOW.words)
        names = [event.name for event in events]
        assert (names[0], names[-2:]) == ("ping", ["usage", "done"])
        assert set(names[1:-2]) == {"text"}
        assert events[0].data == {"generation_id": generation["id"]}
        numbers = [event.number for event in events]
        assert numbers[0] == 0
        assert numbers == sorted(set(numbers))
        assert events[-1].data == {
            "state": "completed",
            "message_id": generation["answer_id"],
            "finish_reason": "stop",
        }
        usage = events[-2].data
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]

    async def test_who_comes_back_gets_what_is_missing(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        upstream.default = SLOW
        told = await sent(owner, await a_conversation(owner))
        id = told["generation"]["id"]
        seen = []
        async with following(owner, id) as events:
            async for event in events:
                seen.append(event)
                if len(text_of(seen)) > 30:
                    break
        last = str(seen[-1].number)
        async with following(owner, id, **{"Last-Event-ID": last}) as events:
            rest = await events.all()
        assert text_of(seen) + text_of(rest) == "".join(SLOW.words)
        assert rest[0].number == seen[-1].number
        assert text_of(await followed(owner, id, f"?after={last}")) == text_of(rest)
        whole = await followed(owner, id)
        assert text_of(whole) == "".join(SLOW.words)
        beyond = await owner.get(f"{GENERATIONS}/{id}/events?after={whole[-1].number + 1}")
        assert_error(beyond, 400, "INVALID_INPUT", "after")
        answer = await owner.get(f"{GENERATIONS}/{id}/events", headers={"Last-Event-ID": "x"})
        assert_error(answer, 400, "INVALID_INPUT", "Last-Event-ID")

    async def test_what_the_model_thinks_is_told_apart(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        upstream.default = Script(reasoning=("Well", "…"))
        told = await sent(owner, await a_conversation(owner))
        events = await followed(owner, told["generation"]["id"])
        thought = "".join(event.data["text"] for event in events if event.name == "reasoning")
        assert (thought, text_of(events)) == ("Well…", ANSWER)

    async def test_one_is_stopped_and_keeps_what_it_has(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        upstream.default = ENDLESS
        id = await a_conversation(owner)
        told = await sent(owner, id)
        generation_id = told["generation"]["id"]
        async with following(owner, generation_id) as events:
            await events.until("text")
            answer = await owner.post(f"{GENERATIONS}/{generation_id}/cancel")
            assert (answer.status, answer.json["state"]) == (200, "canceled")
            rest = await events.all()
        assert (rest[-1].name, rest[-1].data["state"]) == ("done", "canceled")
        assert rest[-1].data["finish_reason"] is None
        reply = (await messages_of(owner, id))[-1]
        assert reply["generation"]["state"] == "canceled"
        assert reply["content"].startswith(" word")
        again = await owner.post(f"{GENERATIONS}/{generation_id}/cancel")
        assert_error(again, 404, "NOT_FOUND")

    @pytest.mark.parametrize(
        ("script", "code"),
        [
            (error(400, "No."), "PROVIDER_FAILED"),
            (Script(failure=Failure.RESET), "PROVIDER_UNREACHABLE"),
        ],
        ids=["refused", "reset"],
    )
    async def test_one_that_fails_says_why(
        self, owner: Visitor, upstream: Upstream, script: Script, code: str
    ) -> None:
        upstream.default = script
        told = await sent(owner, await a_conversation(owner))
        events = await followed(owner, told["generation"]["id"])
        assert events[-1].name == "failed"
        data = events[-1].data
        assert data["state"] == "failed"
        over = await ended(owner, told["generation"]["id"])
        assert shape(over) == shape(EXAMPLES["Get Generation"].response)
        assert over["error"] == data["error"]
        assert over["error"]["code"] == code
        replayed = await followed(owner, told["generation"]["id"])
        assert replayed[-1] == events[-1]

    async def test_the_newest_question_is_asked_again(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        id = await a_conversation(owner)
        first = await asked(owner, id, "One")
        second = await asked(owner, id, "Two")
        upstream.requests.clear()
        path = f"{GENERATIONS}/{second['generation']['id']}/retry"
        answer = await owner.post(path, {"temperature": 0.1})
        assert answer.status == 201
        assert answer.json["message"]["parent_id"] == first["generation"]["answer_id"]
        await ended(owner, answer.json["generation"]["id"])
        shown = await messages_of(owner, id)
        assert [each["content"] for each in shown] == ["One", ANSWER, "Two", ANSWER]
        assert shown[2]["id"] == answer.json["message"]["id"] != second["message"]["id"]
        assert upstream.requests[0].body["temperature"] == 0.1
        for old in (first, second):
            late = await owner.post(f"{GENERATIONS}/{old['generation']['id']}/retry")
            assert_error(late, 409, "CONFLICT")

    async def test_one_that_failed_is_asked_again_without_a_body(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        id = await a_conversation(owner)
        upstream.plan(error(400, "No."))
        told = await asked(owner, id)
        answer = await owner.post(f"{GENERATIONS}/{told['generation']['id']}/retry")
        assert answer.status == 201
        await ended(owner, answer.json["generation"]["id"])
        assert [each["role"] for each in await messages_of(owner, id)] == ["user", "assistant"]

    async def test_what_belongs_to_somebody_else_is_not_there(
        self, owner: Visitor, stranger: Visitor, palaver: Palaver
    ) -> None:
        told = await asked(owner, await a_conversation(owner))
        for id in (told["generation"]["id"], *NOWHERES):
            for answer in (
                await stranger.get(f"{GENERATIONS}/{id}"),
                await stranger.get(f"{GENERATIONS}/{id}/events"),
                await stranger.post(f"{GENERATIONS}/{id}/cancel"),
                await stranger.post(f"{GENERATIONS}/{id}/retry"),
            ):
                assert_error(answer, 404, "NOT_FOUND")
        nobody = palaver.visitor()
        answer = await nobody.get(f"{GENERATIONS}/{told['generation']['id']}/events")
        assert_error(answer, 401, "UNAUTHENTICATED")

    async def test_one_of_a_deleted_conversation_is_not_there(self, owner: Visitor) -> None:
        id = await a_conversation(owner)
        told = await asked(owner, id)
        await owner.delete(f"{CONVERSATIONS}/{id}")
        for path in ("", "/events"):
            answer = await owner.get(f"{GENERATIONS}/{told['generation']['id']}{path}")
            assert_error(answer, 404, "NOT_FOUND")
