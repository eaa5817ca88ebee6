"""Limits hold to the last message, token and micro-dollar, and the sums are those of the ledger."""

import asyncio
from typing import Any

import pytest

from palaver.domain.errors import QuotaExceeded
from palaver.domain.events import UsageReported
from palaver.domain.limits import HOUR, LIMITS, STEP
from palaver.domain.models import Model, ModelProfile
from palaver.domain.plans import DAY_MICROSECONDS
from palaver.domain.usage import UsageKind
from palaver.domain.users import SYSTEM
from palaver.services.conversations import ConversationService, create_conversation
from palaver.services.ledger import Grant, LedgerService, Work, grant, recount, reserve, settle
from palaver.storage.database import Database
from palaver.storage.statements import Statement
from tests.cast import Cast, a_cast

AT = 20_500 * DAY_MICROSECONDS + 12 * HOUR
PROMPT = 10
CAP = 90
PRICE = 1_000_000  # one micro-USD a token


def a_model(**fields: Any) -> Model:
    given = {
        "id": 1,
        "name": "sim/sim",
        "label": "Sim",
        "profile": ModelProfile(),
        "is_active": 1,
        "listed_at": None,
        "created_at": 0,
    }
    return Model(**given | fields)


PAID = a_model(prompt_price=PRICE, completion_price=PRICE)
FREE = a_model(is_free=1)


@pytest.fixture
async def cast(db: Database) -> Cast:
    return await a_cast(db)


async def limit(db: Database, **limits: int) -> None:
    """Set limits of the default plan."""
    async with db.transaction() as tx:
        for name, value in limits.items():
            await tx._connection.run(
                Statement(f"update plans set {name} = :value where is_default = 1"),  # noqa: S608  # ours
                value=value,
            )


async def subscribe(db: Database, owner_id: int, *, start_at: int, **limits: int) -> int:
    """Put a user on a plan of their own, from an instant on."""
    columns = "".join(f", {name}" for name in limits)
    values = "".join(f", :{name}" for name in limits)
    plan = Statement(
        f"insert into plans (name, created_at{columns}) values ('Own', 0{values}) returning id",  # noqa: S608
        int,
    )
    line = Statement(
        """insert into subscriptions (owner_id, plan_id, start_at, created_at)
        values (:owner_id, :plan_id, :start_at, 0)"""
    )
    async with db.transaction() as tx:
        plan_id = await tx._connection.one(plan, **limits)
        await tx._connection.run(line, owner_id=owner_id, plan_id=plan_id, start_at=start_at)
    assert plan_id
    return plan_id


async def begin(
    db: Database,
    owner_id: int,
    *,
    model: Model = PAID,
    at: int = AT,
    prompt: int = PROMPT,
    cap: int = CAP,
    kind: UsageKind = UsageKind.ANSWER,
) -> tuple[Grant, int]:
    async with db.transaction() as tx:
        granted = await grant(
            tx, owner_id, model, kind=kind, prompt_tokens=prompt, max_tokens=cap, at=at
        )
        return granted, await reserve(tx, granted, expires_at=at + STEP)


async def end(
    db: Database,
    begun: tuple[Grant, int],
    *,
    used: tuple[int, int] | None = (PROMPT, CAP),
    cost_micro_usd: int | None = None,
    at: int = AT,
) -> None:
    granted, id = begun
    usage = None
    if used is not None:
        usage = UsageReported(used[0], used[1], cost_micro_usd=cost_micro_usd)
    work = Work(granted.owner_id, "sim/sim", granted.kind, conversation_id=7)
    async with db.transaction() as tx:
        await settle(
            tx, work, granted.terms, usage, reservation_id=id, started_at=granted.at, at=at
        )


async def sums_are_true(db: Database, owner_id: int, *, at: int = AT) -> None:
    """Hold the buckets against a recount from the ledger and the reservations."""
    async with db.transaction() as tx:
        kept = await tx.usage.buckets(owner_id=owner_id)
        await recount(tx, owner_id, at=at)
        assert kept == await tx.usage.buckets(owner_id=owner_id)


# What ten worst cases need of each amount.
TEN = {
    "messages": 10,
    "free_messages": 10,
    "tokens": 10 * (PROMPT + CAP),
    "free_tokens": 10 * (PROMPT + CAP),
    "cost_micro_usd": 10 * (PROMPT + CAP),
}


@pytest.mark.parametrize(
    "limited", [x for x in LIMITS if x.measure in TEN], ids=lambda limited: limited.attribute
)
async def test_two_hundred_starts_at_once_never_pass_a_limit_of_ten(db, cast, limited):
    owner_id = cast.owner.owner_id
    await limit(db, **{limited.attribute: TEN[limited.measure]})
    model = FREE if limited.measure.startswith("free") else PAID
    starts = [begin(db, owner_id, model=model) for _ in range(200)]
    outcomes = await asyncio.gather(*starts, return_exceptions=True)
    refused = [error for error in outcomes if isinstance(error, QuotaExceeded)]
    begun = [each for each in outcomes if isinstance(each, tuple)]
    assert (len(begun), len(refused)) == (10, 190)
    assert {(error.limit, error.window) for error in refused} == {
        (limited.attribute, limited.window.value)
    }
    await sums_are_true(db, owner_id)
    await asyncio.gather(*(end(db, each, used=None) for each in begun))
    assert len(await asyncio.gather(*(begin(db, owner_id, model=model) for _ in range(10)))) == 10
    await sums_are_true(db, owner_id)


async def test_what_was_not_used_is_given_back(db, cast):
    await limit(db, hourly_max_tokens=150)
    owner_id = cast.owner.owner_id
    begun = await begin(db, owner_id)
    with pytest.raises(QuotaExceeded):
        await begin(db, owner_id, prompt=60)
    await end(db, begun, used=(PROMPT, 5))
    granted, _ = await begin(db, owner_id, prompt=60)
    assert granted.max_tokens == 75
    await sums_are_true(db, owner_id)


async def test_usage_counts_at_the_instant_of_the_start(db, cast):
    await limit(db, daily_max_messages=1)
    owner_id = cast.owner.owner_id
    late = AT - AT % DAY_MICROSECONDS + DAY_MICROSECONDS - 1
    begun = await begin(db, owner_id, at=late)
    await end(db, begun, at=late + HOUR)
    await begin(db, owner_id, at=late + 1)
    with pytest.raises(QuotaExceeded):
        await begin(db, owner_id, at=late + 2)
    await sums_are_true(db, owner_id, at=late + HOUR)


async def test_a_rolling_window_frees_at_the_instant_that_was_told(db, cast):
    await limit(db, hourly_max_messages=2)
    owner_id = cast.owner.owner_id
    await begin(db, owner_id, at=AT + 7)
    await begin(db, owner_id, at=AT + 2 * STEP)
    with pytest.raises(QuotaExceeded) as refused:
        await begin(db, owner_id, at=AT + 3 * STEP)
    reset_at = refused.value.reset_at
    assert reset_at == AT + STEP + HOUR
    with pytest.raises(QuotaExceeded):
        await begin(db, owner_id, at=reset_at - 1)
    await begin(db, owner_id, at=reset_at)


async def test_wider_windows_count_what_narrower_ones_have_forgotten(db, cast):
    await limit(db, three_hours_max_messages=2, twelve_hours_max_messages=3)
    owner_id = cast.owner.owner_id
    await begin(db, owner_id, at=AT)
    await begin(db, owner_id, at=AT + 2 * HOUR)
    with pytest.raises(QuotaExceeded, match="2 messages in three hours"):
        await begin(db, owner_id, at=AT + 2 * HOUR)
    await begin(db, owner_id, at=AT + 4 * HOUR)
    with pytest.raises(QuotaExceeded, match="3 messages in twelve hours"):
        await begin(db, owner_id, at=AT + 8 * HOUR)


async def test_a_lifetime_is_that_of_the_subscription_else_of_the_account(db, cast):
    await limit(db, max_tokens=200)
    owner_id = cast.owner.owner_id
    for _ in range(2):
        await end(db, await begin(db, owner_id))
    with pytest.raises(QuotaExceeded) as refused:
        await begin(db, owner_id)
    assert refused.value.reset_at is None
    await subscribe(db, owner_id, start_at=AT + HOUR, max_tokens=100)
    await end(db, await begin(db, owner_id, at=AT + HOUR), at=AT + HOUR)
    with pytest.raises(QuotaExceeded):
        await begin(db, owner_id, at=AT + HOUR)
    await sums_are_true(db, owner_id, at=AT + HOUR)


async def test_a_subscription_that_began_in_the_past_counts_what_was_used_since(db, cast):
    owner_id = cast.owner.owner_id
    await end(db, await begin(db, owner_id, at=AT - HOUR), at=AT)
    under_way = await begin(db, owner_id, at=AT)
    await subscribe(db, owner_id, start_at=AT - HOUR, max_tokens=300)
    async with db.transaction() as tx:
        await recount(tx, owner_id, at=AT)
    granted, _ = await begin(db, owner_id, cap=1_000)
    assert granted.max_tokens == 100 - PROMPT
    await end(db, under_way, used=(PROMPT, 0))
    await sums_are_true(db, owner_id)


async def test_a_price_is_that_of_the_start_and_the_providers_figure_wins(db, cast):
    owner_id = cast.owner.owner_id
    await end(db, await begin(db, owner_id), used=(10, 20))
    await end(db, await begin(db, owner_id), used=(10, 20), cost_micro_usd=7)
    await end(db, await begin(db, owner_id), used=(10, 20), cost_micro_usd=-7)
    async with db.read() as tx:
        lines = await tx.usage.list(owner_id=owner_id)
    assert [line.cost_micro_usd for line in lines] == [30, 7, 30]
    await sums_are_true(db, owner_id)


async def test_a_title_is_cost_and_neither_message_nor_token(db, cast):
    await limit(db, hourly_max_messages=1, hourly_max_tokens=100, max_cost_micro_usd=250)
    owner_id = cast.owner.owner_id
    for _ in range(2):
        await end(db, await begin(db, owner_id, kind=UsageKind.TITLE))
    await begin(db, owner_id, cap=40)
    with pytest.raises(QuotaExceeded, match=r"0\.00025 USD in all"):
        await begin(db, owner_id, kind=UsageKind.TITLE, prompt=1)
    await sums_are_true(db, owner_id)


async def test_what_a_dead_call_held_is_given_back(db, cast):
    owner_id = cast.owner.owner_id
    await begin(db, owner_id, at=AT)
    alive, _ = await begin(db, owner_id, at=AT + STEP)
    ledger = LedgerService(db, clock=lambda: AT + STEP + 1)
    assert await ledger.release_orphans(SYSTEM) == 1
    async with db.read() as tx:
        (held,) = await tx.usage.held(owner_id=owner_id)
    assert held.counted_at == alive.at
    await sums_are_true(db, owner_id, at=AT + STEP)


async def test_a_recount_finds_nothing_wrong_with_a_subscription_that_is_over(db, cast):
    owner_id = cast.owner.owner_id
    await subscribe(db, owner_id, start_at=AT - HOUR, max_tokens=300)
    await end(db, await begin(db, owner_id))
    over = Statement("update subscriptions set end_at = :at")
    async with db.transaction() as tx:
        await tx._connection.run(over, at=AT + 1)
    assert await LedgerService(db, clock=lambda: AT + 2).recount(SYSTEM, owner_id)


async def test_steps_that_no_window_reaches_are_removed_piece_by_piece(db, cast):
    owner_id = cast.owner.owner_id
    for step in range(3):
        await begin(db, owner_id, at=AT + step * STEP)
    ledger = LedgerService(db, clock=lambda: AT + 30 * HOUR)
    assert await ledger.forget_steps(SYSTEM) == 3
    assert await ledger.forget_steps(SYSTEM) == 0
    await sums_are_true(db, owner_id, at=AT + 30 * HOUR)


async def test_a_conversation_adds_up_what_its_answers_have_used(db, cast):
    owner_id = cast.owner.owner_id
    await end(db, await begin(db, owner_id), used=(10, 20))
    await end(db, await begin(db, owner_id, model=FREE), used=(1, 2))
    await end(db, await begin(db, owner_id, kind=UsageKind.TITLE), used=(100, 200))
    line = Statement(
        "select tokens, free_tokens, is_free from conversation_usage", lambda *row: row
    )
    async with db.read() as tx:
        assert await tx._connection.one(line) == (30, 3, 1)


async def test_conversations_that_begin_at_once_do_not_wait_for_each_other_for_ever(db, cast):
    # On PostgreSQL a conversation's row locks its owner's row a little, the ledger a lot.
    conversations = ConversationService(db, driver=None)  # type: ignore[arg-type]  # starts none

    async def one() -> None:
        async with db.transaction() as tx:
            await create_conversation(
                tx, cast.owner, title=None, system_prompt=None, model=None, at=AT
            )
            granted = await grant(
                tx, cast.owner.owner_id, PAID, prompt_tokens=PROMPT, max_tokens=CAP, at=AT
            )
            await reserve(tx, granted, expires_at=AT + STEP)

    await asyncio.gather(*(one() for _ in range(20)))
    assert len(await conversations.list(cast.owner)) == 20
