import asyncio

import pytest

from palaver.domain.errors import DomainError, ErrorKind, InvalidInput
from palaver.domain.users import Actor, Client
from palaver.kit.clock import DAY, SECOND
from tests.cast import PASSWORD, a_user, identity_over, signed_in
from tests.fakes.clock import StillClock

WRONG = "not the password"


def at(address="198.51.100.1", device=""):
    return Actor.anonymous(Client(address=address, device=device))


async def attempt(identity, actor, name="owner", password=WRONG):
    """Return what came of it: None, or the kind of error."""
    try:
        await identity.sessions.sign_in(actor, username=name, password=password)
    except DomainError as error:
        return error.kind
    return None


async def fail(identity, actor, times, name="owner"):
    for _ in range(times):
        assert await attempt(identity, actor, name) is ErrorKind.INVALID_CREDENTIALS


async def is_locked_out(identity, actor, name="owner", password=PASSWORD):
    return await attempt(identity, actor, name, password) is ErrorKind.LOGIN_THROTTLED


async def test_after_ten_failures_even_the_right_password_waits(db):
    clock = StillClock()
    identity = identity_over(db, clock=clock)
    await a_user(identity)
    await fail(identity, at(), 10)
    with pytest.raises(DomainError) as refused:
        await identity.sessions.sign_in(at(), username="owner", password=PASSWORD)
    assert refused.value.kind is ErrorKind.LOGIN_THROTTLED
    seconds = refused.value.retry_after_seconds
    assert 60 <= seconds <= 65
    clock.move(seconds=seconds - 1)
    assert await is_locked_out(identity, at())
    clock.move(seconds=1)
    assert await attempt(identity, at(), password=PASSWORD) is None


async def test_names_that_nobody_has_are_counted_alike(db):
    identity = identity_over(db, clock=StillClock())
    await fail(identity, at(), 10, name="nobody")
    assert await is_locked_out(identity, at(), name="Nobody ")
    assert await is_locked_out(identity, at(), name="nobody")
    assert not await is_locked_out(identity, at(), name="somebody")


async def test_user_name_and_email_address_share_one_count_behind_every_way_in(db):
    identity = identity_over(db, clock=StillClock())
    await a_user(identity, email="owner@example.org")
    await fail(identity, at(), 5)
    for _ in range(5):
        with pytest.raises(DomainError):
            await identity.sessions.sign_in_for_tokens(
                at(), username="owner@example.org", password=WRONG
            )
    assert await is_locked_out(identity, at())


async def test_success_is_given_back(db):
    identity = identity_over(db, clock=StillClock(), attempts_per_minute=3)
    await a_user(identity)
    for _ in range(10):
        assert await attempt(identity, at(), password=PASSWORD) is None
    await fail(identity, at(), 3)
    assert await is_locked_out(identity, at())


async def test_parallel_attempts_never_pass_the_limit(db):
    identity = identity_over(db, clock=StillClock())
    await a_user(identity)
    kinds = await asyncio.gather(*(attempt(identity, at()) for _ in range(40)))
    assert kinds.count(ErrorKind.INVALID_CREDENTIALS) == 10
    assert kinds.count(ErrorKind.LOGIN_THROTTLED) == 30


async def test_parallel_attempts_across_a_slots_border_never_pass_the_limit(db):
    clock = StillClock()
    ticking = StillClock(clock.now - clock.now % (5 * SECOND) + 4 * SECOND)

    def later():
        ticking.move(seconds=0.05)
        return ticking.now

    identity = identity_over(db, clock=later)
    await a_user(identity)
    kinds = await asyncio.gather(*(attempt(identity, at()) for _ in range(40)))
    assert kinds.count(ErrorKind.INVALID_CREDENTIALS) == 10


async def test_an_address_fails_ten_times_as_often_over_all_accounts(db):
    identity = identity_over(db, clock=StillClock(), attempts_per_minute=2)
    await a_user(identity)
    for number in range(10):
        await fail(identity, at(), 2, name=f"name{number}")
    assert await is_locked_out(identity, at())
    assert not await is_locked_out(identity, at("198.51.100.2"))


async def test_an_account_fails_ten_times_as_often_over_all_unknown_addresses(db):
    identity = identity_over(db, clock=StillClock(), attempts_per_minute=2)
    await a_user(identity)
    await a_user(identity, "other")
    for number in range(10):
        await fail(identity, at(f"198.51.100.{number}"), 2)
    assert await is_locked_out(identity, at("198.51.100.99"))
    assert not await is_locked_out(identity, at("198.51.100.99"), name="other")


async def test_one_network_of_ipv6_is_one_address(db):
    identity = identity_over(db, clock=StillClock(), attempts_per_minute=2)
    await a_user(identity)
    await fail(identity, at("2001:db8::1"), 2)
    assert await is_locked_out(identity, at("2001:db8::2"))
    assert not await is_locked_out(identity, at("2001:db8:0:1::1"))


@pytest.mark.parametrize("known_by", ["address", "device"])
async def test_a_known_origin_is_never_locked_out_by_others(db, known_by):
    clock = StillClock()
    identity = identity_over(db, clock=clock, attempts_per_minute=2)
    await a_user(identity)
    sign_in = await identity.sessions.sign_in(at("192.0.2.1"), username="owner", password=PASSWORD)
    clock.move(microseconds=30 * DAY)
    for number in range(10):
        await fail(identity, at(f"198.51.100.{number}"), 2)
    attackers_neighbour = at("198.51.100.1", sign_in.device)
    known = at("192.0.2.1") if known_by == "address" else attackers_neighbour
    assert await is_locked_out(identity, at("203.0.113.1"))
    assert await attempt(identity, known, password=PASSWORD) is None


async def test_a_known_address_is_not_locked_out_by_failures_of_other_accounts_there(db):
    identity = identity_over(db, clock=StillClock(), attempts_per_minute=2)
    await a_user(identity)
    assert await attempt(identity, at(), password=PASSWORD) is None
    for number in range(10):
        await fail(identity, at(), 2, name=f"name{number}")
    assert await is_locked_out(identity, at(), name="name99")
    assert await attempt(identity, at(), password=PASSWORD) is None


async def test_a_known_device_has_the_limit_of_a_pair(db):
    identity = identity_over(db, clock=StillClock(), attempts_per_minute=2)
    await a_user(identity)
    sign_in = await identity.sessions.sign_in(at(), username="owner", password=PASSWORD)
    await fail(identity, at(device=sign_in.device), 1)
    await fail(identity, at("192.0.2.77", sign_in.device), 1)
    assert await is_locked_out(identity, at(device=sign_in.device))
    assert not await is_locked_out(identity, at())


async def test_what_has_not_signed_in_for_30_days_is_unknown_again(db):
    clock = StillClock()
    identity = identity_over(db, clock=clock, attempts_per_minute=2)
    await a_user(identity)
    sign_in = await identity.sessions.sign_in(at("192.0.2.1"), username="owner", password=PASSWORD)
    clock.move(microseconds=30 * DAY + 1)
    for number in range(10):
        await fail(identity, at(f"198.51.100.{number}"), 2)
    assert await is_locked_out(identity, at("192.0.2.1", sign_in.device))


async def test_a_device_is_known_to_its_own_account_only(db):
    identity = identity_over(db, clock=StillClock(), attempts_per_minute=2)
    await a_user(identity)
    await a_user(identity, "other")
    sign_in = await identity.sessions.sign_in(at("192.0.2.1"), username="other", password=PASSWORD)
    await fail(identity, at(), 2)
    assert await is_locked_out(identity, at(device=sign_in.device))


@pytest.mark.parametrize("addresses", [1, 200])
async def test_a_thousand_guesses_a_minute_get_ten_tries_and_lock_nobody_out(db, addresses):
    clock = StillClock()
    identity = identity_over(db, clock=clock)
    await a_user(identity)
    home = await identity.sessions.sign_in(at("192.0.2.1"), username="owner", password=PASSWORD)
    guesses = dict.fromkeys(
        (f"127.0.{number // 100}.{number % 100}" for number in range(addresses)), 0
    )
    for number in range(1000):
        clock.move(seconds=0.06)
        address = f"127.0.{number % addresses // 100}.{number % addresses % 100}"
        kind = await attempt(identity, at(address))
        assert kind in {ErrorKind.INVALID_CREDENTIALS, ErrorKind.LOGIN_THROTTLED}
        guesses[address] += kind is ErrorKind.INVALID_CREDENTIALS
        if number % 250 == 249:  # its owner comes and goes meanwhile
            assert await attempt(identity, at("192.0.2.1"), password=PASSWORD) is None
            elsewhere = at("203.0.113.1", home.device)
            assert await attempt(identity, elsewhere, password=PASSWORD) is None
    assert max(guesses.values()) <= 10
    assert sum(guesses.values()) <= (10 if addresses == 1 else 100)


async def test_zero_turns_it_off(db):
    identity = identity_over(db, attempts_per_minute=0)
    await a_user(identity)
    await fail(identity, at(), 25)
    assert await attempt(identity, at(), password=PASSWORD) is None


async def test_guesses_at_ones_own_password_are_counted_too(db):
    identity = identity_over(db, clock=StillClock(), attempts_per_minute=2)
    actor = await signed_in(identity, await a_user(identity))
    change = {"current_password": WRONG, "new_password": "another good one"}
    for _ in range(2):
        with pytest.raises(InvalidInput):
            await identity.accounts.change_password(actor, **change)
    with pytest.raises(DomainError) as refused:
        await identity.accounts.change_password(actor, **change)
    assert refused.value.kind is ErrorKind.LOGIN_THROTTLED
