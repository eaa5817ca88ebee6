"""The chapter "Rate Limits"."""

import asyncio
from http import HTTPStatus

import msgspec
import pytest

from palaver.config import Settings
from palaver.dialects.platform import DIALECT
from palaver.kit.clock import HOUR, MINUTE, SECOND
from tests.contracts import document
from tests.dialects.platform.helpers import (
    CHATS,
    COMPLETIONS,
    FAILURES,
    NOWHERE,
    a_chat,
    bearing,
    saying,
    tokens_of,
)
from tests.http import Answer, MovableClock, Palaver, Visitor, running

HEADERS = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]
LOGIN = "/api/v1/auth/login"
PER_HOUR = 70


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Give the document's limit a minute, and one an hour that is soon reached."""
    return msgspec.structs.replace(settings, rate_limit_per_hour=PER_HOUR)


def told(answer: Answer) -> tuple[int, int, int]:
    """Return limit, what remains, and when it begins anew."""
    limit, remaining, reset = (int(answer.headers[name]) for name in HEADERS)
    return limit, remaining, reset


def end_of(window: int, at: int) -> int:
    """Return when the window of an instant ends, in seconds."""
    return (at - at % window + window) // SECOND


async def use_up(visitor: Visitor, count: int) -> None:
    for _ in range(count):
        assert (await visitor.get(f"{CHATS}?limit=1")).status == 200


def test_the_headers_are_those_of_the_document() -> None:
    for name in HEADERS:
        assert f"\n{name}: " in document("platform")
    assert list(DIALECT.headers) == HEADERS


async def test_the_openapi_document_tells_of_them(owner: Visitor) -> None:
    description = (await owner.get("/openapi/platform.json")).json
    answers = [
        *description["components"]["responses"].values(),
        *(
            answer
            for path in description["paths"].values()
            for operation in path.values()
            for answer in operation["responses"].values()
            if "$ref" not in answer
        ),
    ]
    assert all(set(HEADERS) <= set(answer["headers"]) for answer in answers)
    for path in description["paths"].values():
        assert all("429" in operation["responses"] for operation in path.values())


async def test_every_answer_tells_what_is_left(owner: Visitor, clock: MovableClock) -> None:
    reset = end_of(MINUTE, clock())
    assert told(await owner.get(CHATS)) == (60, 59, reset)
    id = await a_chat(owner)
    assert told(await owner.get(f"{CHATS}/{id}")) == (60, 57, reset)
    assert told(await owner.get(f"{CHATS}/{NOWHERE}")) == (60, 56, reset)
    assert told(await owner.post(CHATS, {"title": 7})) == (60, 55, reset)
    assert told(await owner.post(COMPLETIONS, saying("x", chat_id=id))) == (60, 54, reset)
    async with owner.open("POST", COMPLETIONS, saying("x", stream=True)) as response:
        assert response.headers[HEADERS[1]] == "53"
    content = b" " * (2 * 1024 * 1024 + 1)
    assert told(await owner.post(CHATS, content=content)) == (60, 52, reset)


async def test_what_is_refused_before_it_counts_is_told_as_well(
    palaver: Palaver, owner: Visitor
) -> None:
    visitor = palaver.visitor()
    for _ in range(2):
        assert told(await visitor.get(CHATS, headers=bearing("x")))[:2] == (60, 60)
        answer = await visitor.request("PUT", CHATS)
        assert (answer.status, told(answer)[:2]) == (405, (60, 60))
    await owner.post(CHATS, {}, csrf=False)
    assert told(await owner.get(CHATS))[:2] == (60, 59)


async def test_other_contracts_have_no_such_limits(owner: Visitor) -> None:
    answer = await owner.get("/conversations")
    assert not set(HEADERS) & set(answer.headers)
    assert told(await owner.get(CHATS))[:2] == (60, 59)


async def test_the_sixty_first_request_of_a_minute_is_refused(
    owner: Visitor, clock: MovableClock
) -> None:
    await use_up(owner, 60)
    for _ in range(2):
        answer = await owner.get(CHATS)
        assert (answer.status, answer.json) == (429, FAILURES[429])
        assert told(answer) == (60, 0, end_of(MINUTE, clock()))
        assert 0 < int(answer.headers["retry-after"]) <= 60
    clock.move(seconds=int(answer.headers["retry-after"]))
    answer = await owner.get(CHATS)
    # 60 of the hour were taken by the first minute, the refused ones took none.
    assert (answer.status, told(answer)[:2]) == (200, (PER_HOUR, PER_HOUR - 61))


async def test_the_tighter_limit_is_shown_and_waited_for(
    owner: Visitor, clock: MovableClock
) -> None:
    await use_up(owner, 60)
    clock.move(seconds=60)
    await use_up(owner, PER_HOUR - 60)
    answer = await owner.get(CHATS)
    reset = end_of(HOUR, clock())
    assert (answer.status, told(answer)) == (429, (PER_HOUR, 0, reset))
    assert 3400 < int(answer.headers["retry-after"]) <= 3600
    clock.move(seconds=int(answer.headers["retry-after"]))
    assert told(await owner.get(CHATS))[:2] == (60, 59)


async def test_each_user_has_a_limit_of_their_own(owner: Visitor, stranger: Visitor) -> None:
    await use_up(owner, 60)
    assert (await owner.get(CHATS)).status == 429
    assert told(await stranger.get(CHATS))[:2] == (60, 59)


async def test_all_sign_ins_of_a_user_share_it(palaver: Palaver, owner: Visitor) -> None:
    tokens = await tokens_of(palaver.visitor(), "owner")
    await use_up(owner, 3)
    answer = await palaver.visitor().get(CHATS, headers=bearing(tokens["access_token"]))
    assert told(answer)[:2] == (60, 56)


async def test_before_sign_in_an_address_has_one(palaver: Palaver, owner: Visitor) -> None:
    visitor = palaver.visitor()
    for left in range(59, -1, -1):
        answer = await visitor.post("/api/v1/auth/refresh", {"refresh_token": "x"})
        assert (answer.status, told(answer)[:2]) == (401, (60, left))
    answer = await palaver.visitor().post(LOGIN, content=b"{")
    assert (answer.status, answer.json) == (429, FAILURES[429])
    assert (await owner.get(CHATS)).status == 200


async def test_requests_at_once_never_pass_a_limit_together(owner: Visitor) -> None:
    answers = await asyncio.gather(*(owner.get(f"{CHATS}?limit=1") for _ in range(90)))
    statuses = [answer.status for answer in answers]
    assert statuses.count(200) == 60
    assert statuses.count(HTTPStatus.TOO_MANY_REQUESTS) == 30
    left = sorted(told(answer)[1] for answer in answers if answer.status == 200)
    assert left == list(range(60))


async def test_limits_outlive_the_server(settings: Settings, clock: MovableClock) -> None:
    async with running(settings, clock=clock) as before:
        owner = await before.person("owner")
        await use_up(owner, 5)
        tokens = await tokens_of(before.visitor(), "owner")
    async with running(settings, clock=clock) as after:
        headers = bearing(tokens["access_token"])
        assert told(await after.visitor().get(CHATS, headers=headers))[:2] == (60, 54)


async def test_without_limits_nothing_is_counted_or_told(
    settings: Settings, clock: MovableClock
) -> None:
    off = msgspec.structs.replace(settings, rate_limit_per_minute=0, rate_limit_per_hour=0)
    async with running(off, clock=clock) as palaver:
        owner = await palaver.person("owner")
        await use_up(owner, PER_HOUR + 1)
        assert not set(HEADERS) & set((await owner.get(CHATS)).headers)


async def test_one_limit_can_be_off(settings: Settings, clock: MovableClock) -> None:
    off = msgspec.structs.replace(settings, rate_limit_per_minute=0)
    async with running(off, clock=clock) as palaver:
        owner = await palaver.person("owner")
        await use_up(owner, 61)
        assert told(await owner.get(CHATS))[:2] == (PER_HOUR, PER_HOUR - 62)
