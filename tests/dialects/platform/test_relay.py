"""Completions without a chat, over HTTP: whoever leaves stops them, and pays for what came."""

import asyncio

import pytest

from palaver.domain.usage import UsageEntry
from tests.dialects.platform.helpers import CHATS, COMPLETIONS, HELLO, saying, streamed, text_of
from tests.fakes.scripts import Script
from tests.fakes.upstream import Upstream
from tests.http import Palaver, Visitor, settled

SLOW = Script(words=tuple(f" word{at}" for at in range(400)), delay_seconds=0.02)


async def entries_of(palaver: Palaver, visitor: Visitor) -> list[UsageEntry]:
    """Return the ledger, once nothing is held any more."""
    owner_id = visitor.user.id

    async def is_settled() -> bool:
        async with palaver.house.db.read() as tx:
            return not await tx.usage.held(owner_id=owner_id)

    await settled(is_settled)
    async with palaver.house.db.read() as tx:
        return await tx.usage.list(owner_id=owner_id)


async def test_nothing_is_stored_but_the_usage(palaver: Palaver, owner: Visitor) -> None:
    answer = await owner.post(COMPLETIONS, saying("x"))
    assert (await owner.get(f"{CHATS}?include_archived=true")).json == []
    (entry,) = await entries_of(palaver, owner)
    assert entry.messages == 1
    assert entry.prompt_tokens + entry.completion_tokens == answer.json["tokens_used"]


async def test_a_reader_who_leaves_a_stream_stops_the_provider(
    palaver: Palaver, owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(SLOW)
    async with owner.events(COMPLETIONS, saying("x", stream=True)) as events:
        await anext(events)
    seen = await upstream.request(1)
    await seen.closed(within_seconds=2)
    assert seen.deltas_sent < len(SLOW.words)
    (entry,) = await entries_of(palaver, owner)
    assert entry.messages == 1
    assert 0 < entry.completion_tokens < 400


async def test_a_client_who_does_not_wait_stops_the_provider(
    palaver: Palaver, owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(SLOW)
    waiting = asyncio.ensure_future(owner.post(COMPLETIONS, saying("x")))
    seen = await upstream.request(1)

    async def has_begun() -> bool:
        return seen.deltas_sent > 2

    await settled(has_begun)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await seen.closed(within_seconds=2)
    (entry,) = await entries_of(palaver, owner)
    assert 0 < entry.completion_tokens < 400


async def test_a_history_of_ones_own_is_sent_as_it_is(owner: Visitor, upstream: Upstream) -> None:
    body = saying("one", "two", "three")
    body["messages"].insert(0, {"role": "system", "content": "Be brief."})
    events = await streamed(owner, body)
    assert text_of(events) == HELLO
    seen = await upstream.request(1)
    assert seen.body["messages"] == body["messages"]


async def test_a_house_that_closes_leaves_nothing_held(
    palaver: Palaver, owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(SLOW)
    async with owner.events(COMPLETIONS, saying("x", stream=True)) as events:
        await anext(events)
        await palaver.services.completions.close()
        assert len(await entries_of(palaver, owner)) == 1
