"""Requests in parallel, through all contracts together, never pass a limit: not by one."""

import asyncio
from collections.abc import Sequence
from itertools import cycle, islice

import pytest
from msgspec import structs

from palaver.config import Settings
from palaver.domain.chatbots import ChatbotChange
from palaver.domain.limits import LIMITS, MONEY, Limit
from palaver.domain.models import ModelChange
from palaver.domain.plans import PlanChange
from palaver.domain.usage import MICRO
from palaver.domain.users import SYSTEM, User
from tests.across.asking import (
    PAINTER,
    PAINTING,
    PROMPT_TOKENS,
    TEXT,
    WAYS,
    Way,
    allowance_of,
    is_counted,
    is_refused,
)
from tests.fakes.upstream import Upstream
from tests.http import Answer, Palaver, Visitor, settled

REQUESTS = 200
ALLOWED = 10
MODEL = "sim/sim"
ANSWER_TOKENS = 100
MEASURES = ("messages", "tokens", "free_messages", "free_tokens", "cost_micro_usd", "images")

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def settings(settings: Settings, database_url: str) -> Settings:
    """Give settings with a database of either engine, and short answers."""
    return structs.replace(
        settings,
        database_url=database_url,
        max_answer_tokens=ANSWER_TOKENS,
        rate_limit_per_minute=0,
        rate_limit_per_hour=0,
    )


async def subscribe(palaver: Palaver, user: User, limit: Limit) -> None:
    """Put somebody on a plan of their own, with one limit that lets ten worst cases through."""
    services = palaver.services
    most = allowance_of(limit, answer_tokens=ANSWER_TOKENS, count=ALLOWED)
    is_money = limit.measure == MONEY
    value = {"max_cost_usd": f"{most / MICRO:.6f}"} if is_money else {limit.attribute: most}
    change = PlanChange(name=limit.attribute, **value)
    linked = await services.plans.create(SYSTEM, change)
    await services.subscriptions.assign(SYSTEM, user.id, plan_id=linked.plan.id)


async def set_model(palaver: Palaver, *, is_free: bool, paints: bool) -> None:
    """Let a token of the model cost a micro-dollar, or nothing; let it make texts, or pictures."""
    registry = palaver.services.registry
    model = await registry.get(SYSTEM, MODEL)
    change = ModelChange(
        type="image" if paints else "text",
        is_free=is_free,
        prompt_price_usd="1",
        completion_price_usd="1",
    )
    await registry.update(SYSTEM, model.id, change)
    if paints:
        painter = ChatbotChange(name="Painter", chatbot_type="image")
        assert (await palaver.services.chatbots.create(SYSTEM, painter)).id == PAINTER


async def browsers_of(palaver: Palaver, user: User) -> dict[str, Visitor]:
    """Return a browser of somebody for each contract: they share nothing but the account."""
    contracts = {way.contract for way in WAYS}
    return {contract: await palaver.signed_in(user) for contract in contracts}


async def held_by(palaver: Palaver, user: User) -> int:
    """Return how many calls of somebody are under way."""
    return len((await palaver.services.ledger.standing(SYSTEM, user.id)).held)


async def ask(
    palaver: Palaver, upstream: Upstream, user: User, limit: Limit, *, count: int
) -> Sequence[tuple[Way, Answer]]:
    """Ask so many times at once, through all contracts, of a provider that answers nobody yet."""
    browsers = await browsers_of(palaver, user)
    ways = list(islice(cycle(PAINTING if limit.measure == "images" else WAYS), count))
    askings = await asyncio.gather(
        *(way.prepare(browsers[way.contract], MODEL, TEXT) for way in ways)
    )
    upstream.gate.clear()
    async with asyncio.TaskGroup() as group:
        answers = [
            group.create_task(browsers[way.contract].post(path, body))
            for way, (path, body) in zip(ways, askings, strict=True)
        ]

        async def are_all_decided() -> bool:
            refused = sum(answer.done() and answer.result().status == 429 for answer in answers)
            return refused + await held_by(palaver, user) >= count

        await settled(are_all_decided, within_seconds=60)
        upstream.gate.set()
    return [(way, answer.result()) for way, answer in zip(ways, answers, strict=True)]


@pytest.mark.parametrize("measure", MEASURES)
async def test_of_200_requests_at_once_exactly_ten_are_accepted(
    palaver: Palaver, upstream: Upstream, measure: str
) -> None:
    await set_model(palaver, is_free=measure.startswith("free"), paints=measure == "images")
    for limit in (limit for limit in LIMITS if limit.measure == measure):
        person = await palaver.person(limit.attribute)
        await subscribe(palaver, person.user, limit)
        outcome = await ask(palaver, upstream, person.user, limit, count=REQUESTS)
        accepted = [way for way, answer in outcome if answer.status == way.status]
        refused = [(way, answer) for way, answer in outcome if answer.status != way.status]
        assert (len(accepted), len(refused)) == (ALLOWED, REQUESTS - ALLOWED), limit.attribute
        for way, answer in refused:
            is_refused(way, answer, limit)
        await what_is_over_is_settled(palaver, upstream, person.user, limit)


async def what_is_over_is_settled(
    palaver: Palaver, upstream: Upstream, user: User, limit: Limit
) -> None:
    """Nothing is held any more, the sums are the ledger's, and what was not used is free."""

    async def is_quiet() -> bool:
        return await held_by(palaver, user) == 0

    await settled(is_quiet)
    ledger = palaver.services.ledger
    standing = await ledger.standing(SYSTEM, user.id)
    ((limited, used),) = standing.limits
    assert used == ALLOWED if is_counted(limit) else 0 < used < limited.most - PROMPT_TOKENS
    assert await ledger.recount(SYSTEM, user.id)
    ((way, answer),) = await ask(palaver, upstream, user, limit, count=1)
    assert answer.status == (429 if is_counted(limit) else way.status)


def test_every_limit_of_a_plan_is_tried() -> None:
    assert {limit.measure for limit in LIMITS} == set(MEASURES)
