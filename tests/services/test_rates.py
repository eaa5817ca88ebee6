"""Rate limits hold to the last request, on both databases."""

import asyncio

import pytest

from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.rates import Allowance, RateLimits
from palaver.domain.users import SYSTEM, Actor, Client
from palaver.kit.clock import HOUR, MINUTE, SECOND
from palaver.services.rates import RateService
from palaver.storage.database import Database, DatabaseError
from tests.fakes.clock import StillClock

AT = 500_000 * HOUR
OWNER = Actor(user_id=1)
OTHER = Actor(user_id=2)


@pytest.fixture
def clock() -> StillClock:
    return StillClock(AT)


def rates_over(db: Database, clock: StillClock, *, minute: int = 10, hour: int = 15) -> RateService:
    return RateService(db, RateLimits(minute, hour), clock=clock)


async def accepted(rates: RateService, actor: Actor, count: int) -> int:
    """Ask so often at once; return how many of these were let through."""
    outcomes = await asyncio.gather(
        *(rates.count(actor) for _ in range(count)), return_exceptions=True
    )
    refusals = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert {error.kind for error in refusals if isinstance(error, DomainError)} <= {
        ErrorKind.RATE_LIMITED
    }
    assert all(isinstance(error, DomainError) for error in refusals)
    return count - len(refusals)


async def test_of_many_at_once_exactly_the_limit_is_let_through(
    db: Database, clock: StillClock
) -> None:
    rates, elsewhere = rates_over(db, clock), rates_over(db, clock)
    both = await asyncio.gather(accepted(rates, OWNER, 40), accepted(elsewhere, OWNER, 40))
    assert sum(both) == 10
    assert await accepted(rates, OTHER, 3) == 3
    clock.move(seconds=60)
    assert await accepted(elsewhere, OWNER, 40) == 5
    clock.move(seconds=3600)
    assert await accepted(rates, OWNER, 40) == 10


async def test_a_refused_request_does_not_count_in_either_window(
    db: Database, clock: StillClock
) -> None:
    rates = rates_over(db, clock)
    assert await accepted(rates, OWNER, 30) == 10
    assert await rates.standing(OWNER) == Allowance(10, 0, AT + MINUTE)
    clock.move(seconds=60)
    assert await rates.standing(OWNER) == Allowance(15, 5, AT + HOUR)


async def test_a_refusal_says_how_long_to_wait(db: Database, clock: StillClock) -> None:
    rates = rates_over(db, clock, minute=1, hour=2)
    await rates.count(OWNER)
    clock.move(seconds=1.5)
    for seconds in (59, 3540):
        with pytest.raises(DomainError) as refused:
            await rates.count(OWNER)
        assert refused.value.retry_after_seconds == seconds
        clock.move(seconds=58.5)
        await accepted(rates, OWNER, 1)


async def test_a_worker_whose_clock_is_behind_counts_with_the_others(
    db: Database, clock: StillClock
) -> None:
    late = rates_over(db, StillClock(AT - SECOND))
    assert await accepted(rates_over(db, clock), OWNER, 6) == 6
    assert await accepted(late, OWNER, 6) == 4
    assert await accepted(rates_over(db, clock), OWNER, 1) == 0


async def test_before_sign_in_an_address_counts_and_a_network_is_one(
    db: Database, clock: StillClock
) -> None:
    rates = rates_over(db, clock)
    one, two, other = (
        Actor.anonymous(Client(address=address))
        for address in ("2001:db8::1", "2001:db8::2", "192.0.2.7")
    )
    assert await accepted(rates, one, 6) == 6
    assert await accepted(rates, two, 6) == 4
    assert await accepted(rates, other, 6) == 6


async def test_what_is_over_is_forgotten_in_pieces(db: Database, clock: StillClock) -> None:
    rates = rates_over(db, clock)
    await rates.count(OWNER)
    clock.move(seconds=3600)
    await rates.count(OTHER)
    assert await rates.purge(SYSTEM) == 1
    assert await rates.purge(SYSTEM) == 0
    assert await rates.standing(OTHER) == Allowance(10, 9, AT + HOUR + MINUTE)


async def test_only_upkeep_forgets(db: Database, clock: StillClock) -> None:
    with pytest.raises(DomainError):
        await rates_over(db, clock).purge(OWNER)


async def test_who_cannot_be_counted_is_not_told_what_is_left(
    db: Database, clock: StillClock
) -> None:
    rates = rates_over(db, clock)
    await db.close()
    assert await rates.standing(OWNER) is None
    with pytest.raises(DatabaseError):
        await rates.count(OWNER)
