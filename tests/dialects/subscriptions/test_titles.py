"""Automatic titles: asked of the model after the first answer, once, whoever goes on."""

from typing import Any

import pytest
from msgspec.structs import replace

from palaver.domain.errors import ProviderError
from palaver.domain.jobs import Job
from palaver.domain.models import ModelChange
from palaver.domain.plans import PlanChange
from palaver.domain.usage import UsageKind
from palaver.domain.users import SYSTEM, Actor
from palaver.jobs.title_conversations import MAX_ATTEMPTS, title_conversation
from palaver.services.settlement import TITLE_JOB
from tests.dialects.subscriptions.helpers import (
    SESSIONS,
    a_session,
    asked,
    put,
    the_session,
)
from tests.fakes.scripts import Failure, Script, error
from tests.fakes.upstream import Upstream
from tests.http import MovableClock, Palaver, Visitor, settled

TITLE = Script(words=('"Greeting', " the", " whole", " wide", " world", " now", '"'))


async def shown(visitor: Visitor, id: int, title: str) -> None:
    """Wait until a session has this title."""

    async def is_shown() -> bool:
        return bool((await the_session(visitor, id))["title"] == title)

    await settled(is_shown)


async def jobs(palaver: Palaver) -> list[int]:
    """Return the attempts of the title jobs that are left."""
    async with palaver.house.db.transaction() as tx:
        found = await tx.jobs.claim([TITLE_JOB], at=1 << 60, until=1 << 60, limit=10)
    return [job.attempt for job in found]


async def ledger(palaver: Palaver, visitor: Visitor) -> list[Any]:
    async with palaver.house.db.read() as tx:
        entries = await tx.usage.list(owner_id=visitor.user.id)
    return [entry for entry in entries if entry.kind is UsageKind.TITLE]


async def test_after_the_first_answer_there_is_a_title(
    owner: Visitor, palaver: Palaver, upstream: Upstream
) -> None:
    upstream.plan(Script(), TITLE)
    id = await a_session(owner)
    await asked(owner, id, "Hello, everybody out there")
    await shown(owner, id, "Greeting the whole wide world")
    request = (await upstream.request(2)).body
    (turn,) = request["messages"]
    assert "Hello, everybody out there" in turn["content"]
    assert "Hello, world!" in turn["content"]
    assert "at most five words" in turn["content"]
    assert request["max_tokens"] <= 100
    assert (await the_session(owner, id))["auto_generate_title"] is True
    assert await jobs(palaver) == []


async def test_a_title_is_found_and_brings_its_session_to_the_top(
    owner: Visitor, upstream: Upstream, clock: MovableClock
) -> None:
    upstream.plan(Script(), TITLE)
    id = await a_session(owner)
    await asked(owner, id, "Hello")
    await shown(owner, id, "Greeting the whole wide world")
    hits = (await owner.get("/api/palaver/search?q=greeting")).json["items"]
    assert [hit["kind"] for hit in hits] == ["title"]
    session = await the_session(owner, id)
    _, answer = (await owner.get(f"{SESSIONS}{id}/messages/")).json["messages"]
    assert session["updated_at"] > answer["created_at"]


async def test_a_title_goes_into_the_ledger_as_cost_alone(
    owner: Visitor, palaver: Palaver, upstream: Upstream
) -> None:
    upstream.plan(Script(), TITLE)
    id = await a_session(owner)
    await asked(owner, id, "Hello")
    (usage,) = (await owner.get("/api/chat-session-usages/")).json
    await shown(owner, id, "Greeting the whole wide world")

    async def is_settled() -> bool:
        return bool(await ledger(palaver, owner))

    await settled(is_settled)
    (entry,) = await ledger(palaver, owner)
    assert (entry.conversation_id, entry.model) == (id, "sim/sim")
    assert (entry.messages, entry.charged_tokens) == (0, 0)
    assert entry.completion_tokens == len(TITLE.words)
    async with palaver.house.db.read() as tx:
        assert await tx.usage.held(owner_id=owner.user.id) == []
    assert (await owner.get("/api/chat-session-usages/")).json == [usage]


async def test_whatever_contract_goes_on_the_title_comes(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(), TITLE)
    id = await a_session(owner)
    await owner.post(f"/conversations/{id}/messages", {"content": "Hello"})
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        await events.all()
    await shown(owner, id, "Greeting the whole wide world")
    conversation = (await owner.get(f"/conversations/{id}")).json
    assert conversation["title"] == "Greeting the whole wide world"


async def test_where_there_is_a_title_or_none_is_wanted_nobody_is_asked(
    owner: Visitor, palaver: Palaver, upstream: Upstream
) -> None:
    named = await a_session(owner, title="A walk")
    unwanted = await a_session(owner)
    await put(owner, unwanted, {"auto_generate_title": False})
    other = (await owner.post("/conversations", {})).json["id"]
    for id in (named, unwanted, other):
        await asked(owner, id, "Hello")
    assert await jobs(palaver) == []
    assert len(upstream.requests) == 3
    titles = [(await the_session(owner, id))["title"] for id in (named, unwanted, other)]
    assert titles == ["A walk", "New Chat", "New Chat"]


async def test_a_title_that_somebody_gives_meanwhile_stays(
    owner: Visitor, palaver: Palaver, upstream: Upstream
) -> None:
    upstream.plan(Script(), Script(words=TITLE.words, delay_seconds=0.05))
    id = await a_session(owner)
    await asked(owner, id, "Hello")
    await upstream.request(2)
    await put(owner, id, {"title": "Mine"})

    async def is_settled() -> bool:
        return bool(await ledger(palaver, owner))

    await settled(is_settled)
    assert (await the_session(owner, id))["title"] == "Mine"


async def test_the_model_is_asked_once_whatever_it_says(
    owner: Visitor, palaver: Palaver, upstream: Upstream
) -> None:
    upstream.plan(Script(), Script(words=('""',)))
    id = await a_session(owner)
    await asked(owner, id, "one")

    async def is_settled() -> bool:
        return bool(await ledger(palaver, owner))

    await settled(is_settled)
    await asked(owner, id, "two")
    assert await jobs(palaver) == []
    assert len(upstream.requests) == 3
    assert (await the_session(owner, id))["title"] == "New Chat"


async def test_a_model_that_refuses_is_not_asked_again(
    owner: Visitor, palaver: Palaver, upstream: Upstream
) -> None:
    upstream.plan(Script(), error(400, "No."))
    id = await a_session(owner)
    await asked(owner, id, "one")
    await upstream.request(2)

    async def is_over() -> bool:
        async with palaver.house.db.read() as tx:
            held = await tx.usage.held(owner_id=owner.user.id)
            return not held and not await tx.jobs.is_due([TITLE_JOB], at=1 << 60)

    await settled(is_over)
    assert await ledger(palaver, owner) == []
    assert (await the_session(owner, id))["title"] == "New Chat"


async def test_a_model_that_is_overloaded_is_asked_again_but_not_for_ever(
    owner: Visitor, palaver: Palaver, upstream: Upstream
) -> None:
    id = await a_session(owner)
    await put(owner, id, {"auto_generate_title": False})
    await asked(owner, id, "one")
    await put(owner, id, {"auto_generate_title": True})
    upstream.default = Script(failure=Failure.HANG_UP)
    handle = title_conversation(palaver.services.titles)
    job = Job(1, TITLE_JOB, {"conversation_id": id}, run_at=0, attempt=1)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        before = len(upstream.requests)
        with pytest.raises(ProviderError):
            await handle(replace(job, attempt=attempt))
        assert len(upstream.requests) > before
    asked_so_far = len(upstream.requests)
    await handle(replace(job, attempt=MAX_ATTEMPTS + 1))
    assert len(upstream.requests) == asked_so_far
    assert await ledger(palaver, owner) == []
    async with palaver.house.db.read() as tx:
        assert await tx.usage.held(owner_id=owner.user.id) == []


async def test_a_limit_without_room_leaves_it_untitled(
    owner: Visitor, palaver: Palaver, upstream: Upstream
) -> None:
    model = (await owner.get("/api/ai-models/")).json[0]
    price = ModelChange(prompt_price_usd="1000", completion_price_usd="1000")
    await palaver.services.registry.update(SYSTEM, model["id"], price)
    # An answer of four tokens is paid with what is left; asking for a title would cost more.
    plan = PlanChange(name="Tight", max_cost_usd="0.030")
    linked = await palaver.services.plans.create(SYSTEM, plan)
    await palaver.services.subscriptions.assign(SYSTEM, owner.user.id, plan_id=linked.plan.id)
    id = await a_session(owner)
    await asked(owner, id, "one")

    async def is_over() -> bool:
        async with palaver.house.db.read() as tx:
            return not await tx.jobs.is_due([TITLE_JOB], at=1 << 60)

    await settled(is_over)
    assert len(upstream.requests) == 1
    assert (await the_session(owner, id))["title"] == "New Chat"


async def test_a_session_that_is_gone_gets_none(owner: Visitor, palaver: Palaver) -> None:
    id = await a_session(owner)
    await owner.delete(f"{SESSIONS}{id}/")
    await palaver.services.titles.write(SYSTEM, id)
    await palaver.services.titles.write(SYSTEM, 9_000_000)


async def test_only_palaver_itself_writes_titles(owner: Visitor, palaver: Palaver) -> None:
    with pytest.raises(Exception, match="administrator"):
        await palaver.services.titles.write(Actor(user_id=owner.user.id), 1)
