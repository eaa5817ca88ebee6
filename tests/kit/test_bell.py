"""A bell wakes whoever listens, once."""

import asyncio

from palaver.kit.bell import Bell


async def test_a_bell_that_was_rung_before_lets_the_next_wait_through():
    bell = Bell()
    bell.ring()
    bell.ring()
    assert await bell.wait()
    assert not await bell.wait(0.001), "rings are not counted"


async def test_a_bell_wakes_the_listener():
    bell = Bell()
    listening = asyncio.ensure_future(bell.wait(60))
    await asyncio.sleep(0)
    bell.ring()
    assert await listening


async def test_a_listener_that_goes_away_leaves_the_ring_to_the_next():
    bell = Bell()
    listening = asyncio.ensure_future(bell.wait())
    await asyncio.sleep(0)
    listening.cancel()
    await asyncio.wait([listening])
    bell.ring()
    assert await bell.wait()
