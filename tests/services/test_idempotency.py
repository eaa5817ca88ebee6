"""An idempotency key lets a request happen once, whatever becomes of it."""

import asyncio

import pytest

from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.users import SYSTEM, Actor
from palaver.kit.clock import DAY, MINUTE, SECOND
from palaver.services.idempotency import Attached, Fresh, IdempotencyService, Stored
from palaver.storage.database import Database
from tests.cast import Cast, a_cast
from tests.fakes.clock import StillClock

ANSWER = {"status": 201, "headers": [("content-type", "application/json")], "body": '{"id": 1}'}


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def cast(db: Database) -> Cast:
    return await a_cast(db)


@pytest.fixture
def owner(cast: Cast) -> Actor:
    return cast.owner


@pytest.fixture
def keys(db: Database, clock: StillClock) -> IdempotencyService:
    return IdempotencyService(db, clock=clock)


async def begin(keys, actor, *, route="POST /things", key="k", body_hash="h"):
    return await keys.begin(actor, route=route, key=key, body_hash=body_hash)


async def refused(keys, actor, **values) -> ErrorKind:
    with pytest.raises(DomainError) as error:
        await begin(keys, actor, **values)
    return error.value.kind


async def test_a_repeat_gets_the_first_answer(keys, owner):
    fresh = await begin(keys, owner)
    assert isinstance(fresh, Fresh)
    await keys.finish(owner, fresh, **ANSWER)
    assert await begin(keys, owner) == Stored(**ANSWER)


async def test_a_repeat_meanwhile_is_told_to_wait(keys, owner):
    await begin(keys, owner)
    with pytest.raises(DomainError) as error:
        await begin(keys, owner)
    assert error.value.kind is ErrorKind.CONFLICT
    assert error.value.retry_after_seconds == 1


async def test_another_body_is_a_mismatch_before_and_after_the_answer(keys, owner):
    fresh = await begin(keys, owner)
    assert await refused(keys, owner, body_hash="other") is ErrorKind.IDEMPOTENCY_MISMATCH
    await keys.finish(owner, fresh, **ANSWER)
    assert await refused(keys, owner, body_hash="other") is ErrorKind.IDEMPOTENCY_MISMATCH


async def test_keys_are_of_one_user_and_one_route(keys, cast):
    for actor, route in [(cast.owner, "a"), (cast.owner, "b"), (cast.stranger, "a")]:
        assert isinstance(await begin(keys, actor, route=route), Fresh)


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_failure_of_ours_is_not_kept(keys, owner, status):
    fresh = await begin(keys, owner)
    await keys.finish(owner, fresh, status=status, headers=[], body="")
    assert isinstance(await begin(keys, owner), Fresh)


async def test_a_refusal_is_kept(keys, owner):
    fresh = await begin(keys, owner)
    await keys.finish(owner, fresh, status=400, headers=[], body="no")
    assert await begin(keys, owner) == Stored(400, [], "no")


async def test_a_request_that_came_to_nothing_frees_its_key(keys, owner):
    fresh = await begin(keys, owner)
    await keys.free(owner, fresh)
    assert isinstance(await begin(keys, owner, body_hash="other"), Fresh)


async def test_a_repeat_of_a_stream_attaches_to_its_generation(keys, owner):
    fresh = await begin(keys, owner)
    await keys.attach(owner, fresh, generation_uuid="g")
    assert await begin(keys, owner) == Attached("g")
    assert await refused(keys, owner, body_hash="other") is ErrorKind.IDEMPOTENCY_MISMATCH


async def test_a_key_whose_request_died_is_free_after_a_minute(keys, owner, clock):
    dead = await begin(keys, owner)
    clock.move(seconds=60)
    assert await refused(keys, owner) is ErrorKind.CONFLICT
    clock.move(microseconds=1)
    fresh = await begin(keys, owner, body_hash="other")
    assert isinstance(fresh, Fresh)
    # The first one was not dead after all: it comes too late, and changes nothing.
    await keys.finish(owner, dead, **ANSWER)
    await keys.free(owner, dead)
    assert await refused(keys, owner, body_hash="other") is ErrorKind.CONFLICT
    await keys.finish(owner, fresh, status=200, headers=[], body="second")
    assert await begin(keys, owner, body_hash="other") == Stored(200, [], "second")


async def test_a_request_that_takes_long_keeps_its_key(keys, owner, clock):
    fresh = await begin(keys, owner)
    for _ in range(10):
        clock.move(seconds=30)
        await keys.renew(SYSTEM)
        assert await refused(keys, owner) is ErrorKind.CONFLICT
    await keys.finish(owner, fresh, **ANSWER)
    await keys.renew(SYSTEM)
    assert await begin(keys, owner) == Stored(**ANSWER)


async def test_a_request_that_was_dropped_without_a_word_loses_its_key(keys, owner, clock):
    await begin(keys, owner)
    for _ in range(31):
        clock.move(seconds=60)
        await keys.renew(SYSTEM)
    assert isinstance(await begin(keys, owner), Fresh)


async def test_a_key_lives_for_a_day(keys, owner, clock):
    fresh = await begin(keys, owner)
    await keys.finish(owner, fresh, **ANSWER)
    clock.move(microseconds=DAY)
    assert await begin(keys, owner) == Stored(**ANSWER)
    assert await keys.purge(SYSTEM) == 0
    clock.move(microseconds=1)
    assert isinstance(await begin(keys, owner, body_hash="other"), Fresh), "purged or not"


async def test_old_keys_are_purged(keys, owner, clock):
    fresh = await begin(keys, owner)
    await keys.finish(owner, fresh, **ANSWER)
    clock.move(microseconds=DAY - MINUTE)
    await begin(keys, owner, key="young")
    clock.move(seconds=2 * MINUTE // SECOND)
    assert await keys.purge(SYSTEM) == 1
    assert await keys.purge(SYSTEM) == 0


async def test_of_many_at_once_one_goes_first(keys, owner):
    results = await asyncio.gather(*(begin(keys, owner) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(result, Fresh) for result in results) == 1
    others = [result for result in results if not isinstance(result, Fresh)]
    assert all(isinstance(other, DomainError) for other in others)
    assert {other.kind for other in others} == {ErrorKind.CONFLICT}


async def test_of_many_that_find_a_dead_one_one_takes_it_over(keys, owner, clock):
    await begin(keys, owner)
    clock.move(seconds=61)
    results = await asyncio.gather(*(begin(keys, owner) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(result, Fresh) for result in results) == 1
