"""`Idempotency-Key`: the same request, sent again, gets the first answer and does nothing."""

import asyncio

from palaver.kit.clock import DAY, SECOND
from tests.dialects.companion.helpers import NOWHERE, problems, saying
from tests.fakes.scripts import Script
from tests.fakes.upstream import Upstream
from tests.http import MovableClock, Palaver, Visitor

PATH = "/api/v1/conversations/"
KEY = {"Idempotency-Key": "a key of mine"}


async def count(visitor: Visitor) -> int:
    return len((await visitor.get(PATH)).json)


async def test_a_repeat_gets_the_first_answer_and_does_nothing(owner: Visitor) -> None:
    first = await owner.post(PATH, {"title": "x"}, headers=KEY)
    again = await owner.post(PATH, {"title": "x"}, headers=KEY)
    assert (first.status, again.status) == (201, 201)
    assert again.content == first.content
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert await count(owner) == 1


async def test_a_refusal_is_repeated_as_well(owner: Visitor) -> None:
    body = saying("Hello", conversation_id=NOWHERE)
    first = await owner.post("/api/chat", body, headers=KEY)
    again = await owner.post("/api/chat", body, headers=KEY)
    assert (first.status, again.status) == (404, 404)
    assert again.content == first.content


async def test_another_body_is_a_fault_of_the_input(owner: Visitor) -> None:
    await owner.post(PATH, {"title": "x"}, headers=KEY)
    answer = await owner.post(PATH, {"title": "y"}, headers=KEY)
    assert problems(answer) == [(["header", "Idempotency-Key"], "value_error")]
    await owner.post("/conversations", {"title": "x"}, headers=KEY)
    answer = await owner.post("/conversations", {"title": "y"}, headers=KEY)
    assert (answer.status, answer.json["code"]) == (400, "VALIDATION_ERROR")


async def test_another_path_is_another_request(owner: Visitor) -> None:
    ids = [(await owner.post("/conversations", {})).json["id"] for _ in range(2)]
    paths = [f"/conversations/{id}/messages" for id in ids]
    assert (await owner.post(paths[0], {"content": "x"}, headers=KEY)).status == 200
    assert (await owner.post(paths[1], {"content": "x"}, headers=KEY)).status == 400


async def test_the_other_slash_form_is_the_same_request(owner: Visitor) -> None:
    first = await owner.post(PATH, {"title": "x"}, headers=KEY)
    again = await owner.post(PATH.rstrip("/"), {"title": "x"}, headers=KEY)
    assert again.content == first.content


async def test_a_key_is_of_one_user_and_one_route(owner: Visitor, stranger: Visitor) -> None:
    first = await owner.post(PATH, {"title": "x"}, headers=KEY)
    other = await stranger.post(PATH, {"title": "x"}, headers=KEY)
    assert other.json["id"] != first.json["id"]
    assert (await owner.post("/conversations", {"title": "x"}, headers=KEY)).status == 200
    assert await count(owner) == 2


async def test_a_key_is_forgotten_after_a_day(owner: Visitor, clock: MovableClock) -> None:
    first = await owner.post(PATH, {"title": "x"}, headers=KEY)
    clock.move(seconds=DAY / SECOND + 1)
    again = await owner.post(PATH, {"title": "x"}, headers=KEY)
    assert again.status == 201
    assert again.json["id"] != first.json["id"]


async def test_while_the_first_is_under_way_a_repeat_is_a_conflict(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(delay_seconds=0.1))
    first = asyncio.ensure_future(owner.post("/api/chat", saying("Hello"), headers=KEY))
    await upstream.request(1)
    again = await owner.post("/api/chat", saying("Hello"), headers=KEY)
    assert again.status == 409
    assert int(again.headers["retry-after"]) >= 1
    assert (await first).status == 200
    assert len(upstream.requests) == 1


async def test_of_many_at_once_one_is_done(owner: Visitor) -> None:
    answers = await asyncio.gather(
        *(owner.post(PATH, {"title": "x"}, headers=KEY) for _ in range(8))
    )
    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status == 201}) == 1
    assert await count(owner) == 1


async def test_a_key_has_1_to_255_printable_characters(owner: Visitor) -> None:
    for key in ("", "x" * 256, "a\tb", "é"):
        answer = await owner.post(PATH, {}, headers={"Idempotency-Key": key})
        assert [where for where, _ in problems(answer)] == [["header", "Idempotency-Key"]], key
    assert await count(owner) == 0
    answer = await owner.post(PATH, {}, headers={"Idempotency-Key": "x" * 255})
    assert answer.status == 201


async def test_what_only_reads_needs_no_key(owner: Visitor) -> None:
    assert (await owner.get(PATH, headers={"Idempotency-Key": ""})).status == 200


async def test_a_stream_is_followed_again(owner: Visitor, upstream: Upstream) -> None:
    id = (await owner.post("/conversations", {})).json["id"]
    await owner.post(f"/conversations/{id}/messages", {"content": "Hello"})
    path = f"/conversations/{id}/stream"
    seen = []
    for _ in range(2):
        async with owner.events(path, {}, headers=KEY) as events:
            seen.append(await events.all())
    assert seen[0][0].data["generation_id"] == seen[1][0].data["generation_id"]
    assert seen[0][-1] == seen[1][-1]
    assert len(upstream.requests) == 1


async def test_a_failure_of_ours_frees_the_key(
    palaver: Palaver, owner: Visitor, upstream: Upstream
) -> None:
    upstream.default = Script(status=500, body=b"{}")
    assert (await owner.post("/api/chat", saying("Hello"), headers=KEY)).status == 502
    upstream.default = Script()
    again = await owner.post("/api/chat", saying("Hello"), headers=KEY)
    assert again.status == 200
    # What the first has stored was asked again, and stands there once.
    path = f"/api/v1/conversations/{again.json['conversation_id']}/messages"
    said = [(row["role"], row["content"]) for row in (await owner.get(path)).json]
    assert said == [("user", "Hello"), ("assistant", "Hello, world!")]
    assert len((await owner.get("/api/v1/conversations/")).json) == 1
