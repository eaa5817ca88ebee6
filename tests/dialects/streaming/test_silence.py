"""Heartbeats: what a client hears while it hears nothing else."""

import pytest

from palaver.web import streams
from tests.dialects.streaming.helpers import a_conversation
from tests.fakes.scripts import Failure, Script
from tests.fakes.upstream import Upstream
from tests.http import Visitor


@pytest.fixture(autouse=True)
def short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a silence be over sooner."""
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.05)


async def test_a_silence_is_broken_by_pings_with_the_last_number(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(words=("ab", "c"), failure=Failure.STALL, after=1))
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        delta = (await events.until("delta"))[-1]
        pings = [await anext(events) for _ in range(2)]
    assert [(ping.name, ping.number) for ping in pings] == [("ping", delta.number)] * 2
    assert pings[0].data == {"generation_id": delta.data["generation_id"]}


async def test_before_the_first_word_pings_have_the_number_0(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(failure=Failure.SILENT))
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        pings = [await anext(events) for _ in range(3)]
    assert [(ping.name, ping.number) for ping in pings] == [("ping", 0)] * 3


async def test_what_goes_by_unseen_is_silence_for_the_client(
    owner: Visitor, upstream: Upstream
) -> None:
    # A thought each 10 ms: there is always something new, and nothing that this contract shows.
    thoughts = ("hm ",) * 60
    upstream.plan(Script(reasoning=thoughts, words=("Yes",), delay_seconds=0.01))
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        seen = await events.until("delta")
    pings = [event for event in seen if event.name == "ping"]
    assert len(pings) >= 3
    numbers = [ping.number for ping in pings]
    assert numbers == sorted(set(numbers))
    assert 0 < numbers[-1] <= len("".join(thoughts))
