import asyncio
import threading

import argon2
import pytest

from palaver.services.passwords import AT_ONCE, Passwords


@pytest.fixture
def passwords():
    made = Passwords(memory_kib=8, passes=1)
    yield made
    made.close()


async def test_a_password_matches_its_own_hash_only(passwords):
    first, second = await passwords.hash("one"), await passwords.hash("one")
    assert first != second
    assert await passwords.verify(first, "one")
    assert await passwords.verify(second, "one")
    assert not await passwords.verify(first, "two")
    assert not await passwords.verify(first, "")


@pytest.mark.parametrize("password_hash", [None, "", "no hash", "$argon2id$v=19$m=8"])
async def test_what_is_no_hash_matches_nothing(passwords, password_hash):
    assert not await passwords.verify(password_hash, "")


async def test_nobodys_hash_costs_what_everybodys_does(passwords):
    mine = argon2.extract_parameters(await passwords.hash("one"))
    assert argon2.extract_parameters(passwords._nobody) == mine
    assert mine.type is argon2.Type.ID


def test_by_default_a_hash_costs_what_owasp_asks_for():
    made = Passwords()
    mine = argon2.extract_parameters(made._nobody)
    assert (mine.memory_cost, mine.time_cost, mine.parallelism) == (47104, 1, 1)
    assert (mine.salt_len, mine.hash_len) == (16, 32)


async def test_a_hash_of_other_costs_is_outdated(passwords):
    dearer = Passwords(memory_kib=16, passes=1)
    password_hash = await passwords.hash("one")
    assert await dearer.verify(password_hash, "one")
    assert dearer.is_outdated(password_hash)
    assert not passwords.is_outdated(password_hash)
    dearer.close()


async def test_two_are_hashed_at_once_even_when_callers_leave(passwords):
    running, most, lock, gate = 0, 0, threading.Lock(), threading.Event()

    def work():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(10)
        with lock:
            running -= 1

    callers = [asyncio.ensure_future(passwords._run(work)) for _ in range(6)]
    await asyncio.sleep(0.01)
    callers[0].cancel()
    callers[1].cancel()
    await asyncio.sleep(0.01)
    gate.set()
    await asyncio.gather(*callers, return_exceptions=True)
    assert most == AT_ONCE
