"""`Idempotency-Key`: the same request, sent again."""

import asyncio

from tests.dialects.streaming.helpers import a_conversation, assert_error, text_of
from tests.fakes.scripts import Failure, Script
from tests.fakes.upstream import Upstream
from tests.http import Visitor

KEY = {"Idempotency-Key": "one"}


async def test_a_message_that_is_sent_again_is_appended_once(owner: Visitor) -> None:
    id = await a_conversation(owner)
    path = f"/conversations/{id}/messages"
    first = await owner.post(path, {"content": "Hello"}, headers=KEY)
    again = await owner.post(path, {"content": "Hello"}, headers=KEY)
    assert (again.status, again.content) == (first.status, first.content)
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert len((await owner.get(path)).json) == 1


async def test_the_same_key_with_another_body_is_refused(owner: Visitor) -> None:
    path = f"/conversations/{await a_conversation(owner)}/messages"
    await owner.post(path, {"content": "Hello"}, headers=KEY)
    answer = await owner.post(path, {"content": "Bye"}, headers=KEY)
    assert_error(answer, 400, "VALIDATION_ERROR")


async def test_a_key_counts_for_one_person_and_one_route(owner: Visitor, stranger: Visitor) -> None:
    ids = [
        (await visitor.post("/conversations", {}, headers=KEY)).json["id"]
        for visitor in (owner, stranger)
    ]
    assert len(set(ids)) == 2
    answer = await owner.post(f"/conversations/{ids[0]}/messages", {"content": "x"}, headers=KEY)
    assert answer.status == 200


async def test_a_key_that_is_none_is_refused(owner: Visitor) -> None:
    for key in ("", "x" * 256, "ü"):
        answer = await owner.post("/conversations", {}, headers={"Idempotency-Key": key})
        assert_error(answer, 400, "VALIDATION_ERROR")


async def test_a_retry_that_is_sent_again_asks_once(owner: Visitor, upstream: Upstream) -> None:
    id = await a_conversation(owner, "Hello")
    body = {"conversation_id": id}
    answers = [await owner.post("/chat/retry", body, headers=KEY) for _ in range(3)]
    assert len({answer.content for answer in answers}) == 1
    await upstream.request()
    assert len((await owner.get(f"/conversations/{id}/messages")).json) <= 2


async def test_a_stream_that_is_asked_for_again_follows_the_same_run(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(words=("ab", "c"), failure=Failure.STALL, after=1))
    id = await a_conversation(owner, "Hello")
    path = f"/conversations/{id}/stream"
    async with owner.events(path, {}, headers=KEY) as events:
        first = await events.until("delta")
        await owner.post(f"/chat/cancel/{first[0].data['generation_id']}")
        await events.all()
    # Without the key a canceled run would be started anew.
    async with owner.events(path, {}, headers=KEY) as events:
        again = await events.all()
    assert again[0].data == first[0].data
    assert text_of(again) == "ab"
    assert again[-1].data["status"] == "canceled"
    assert len(upstream.requests) == 1


async def test_of_two_at_once_one_is_done_and_the_other_told_to_wait(owner: Visitor) -> None:
    path = f"/conversations/{await a_conversation(owner)}/messages"
    answers = await asyncio.gather(
        *(owner.post(path, {"content": "Hello"}, headers=KEY) for _ in range(5))
    )
    assert {answer.status for answer in answers} <= {200, 409}
    for answer in answers:
        if answer.status == 409:
            assert_error(answer, 409, "CONFLICT")
    assert len((await owner.get(path)).json) == 1
