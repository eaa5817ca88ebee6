"""Plans and subscriptions on both databases, also when several administrators act at once."""

import asyncio
from dataclasses import dataclass

import pytest

from palaver.domain.chatbots import ChatbotChange
from palaver.domain.errors import DomainError, ErrorKind, InvalidInput, NotFound, QuotaExceeded
from palaver.domain.limits import COUNTS, LIMITS
from palaver.domain.plans import DAY_MICROSECONDS, NEW, LinkedPlan, PlanChange
from palaver.domain.users import SYSTEM
from palaver.kit.clock import DAY, HOUR, SECOND
from palaver.services.chatbots import ChatbotService
from palaver.services.plans import PlanService
from palaver.services.subscriptions import SubscriptionService
from palaver.storage.database import Database
from tests.cast import Cast, a_cast
from tests.fakes.clock import StillClock
from tests.services.test_ledger import begin, end


@dataclass
class House:
    db: Database
    clock: StillClock
    cast: Cast
    plans: PlanService
    subscriptions: SubscriptionService

    async def plan(self, name: str, **fields: object) -> LinkedPlan:
        return await self.plans.create(SYSTEM, PlanChange(name=name, **fields))

    async def plan_name(self) -> str:
        owner = await self.subscriptions.get(SYSTEM, self.cast.owner.owner_id)
        return owner.plan.name

    async def defaults(self) -> list[str]:
        every = (await self.plans.list(SYSTEM)).items
        return [linked.plan.name for linked in every if linked.plan.is_default]


@pytest.fixture
async def house(db: Database) -> House:
    clock = StillClock()
    cast = await a_cast(db, clock=clock)
    return House(
        db, clock, cast, PlanService(db, clock=clock), SubscriptionService(db, clock=clock)
    )


async def test_it_is_for_administrators(house: House) -> None:
    owner = house.cast.owner
    for attempt in (
        house.plans.list(owner),
        house.plans.get(owner, 1),
        house.plans.create(owner, PlanChange(name="x")),
        house.plans.update(owner, 1, PlanChange()),
        house.plans.delete(owner, 1),
        house.subscriptions.list(owner),
        house.subscriptions.get(owner, owner.owner_id),
        house.subscriptions.get_by_name(owner, "owner"),
        house.subscriptions.assign(owner, owner.owner_id, plan_id=1),
        house.subscriptions.end(owner, owner.owner_id),
    ):
        with pytest.raises(DomainError) as error:
            await attempt
        assert error.value.kind is ErrorKind.ADMIN_REQUIRED


async def test_every_limit_is_stored_as_it_is_given_and_zero_as_none(house: House) -> None:
    limits = {name: number for number, name in enumerate((*COUNTS, "max_cost_usd"), start=1)}
    plan = (await house.plan("Full", **limits, price_usd="0.01", duration_days=7, sku="F")).plan
    assert plan.max_cost_micro_usd == limits["max_cost_usd"] * 1_000_000
    assert [getattr(plan, name) for name in COUNTS] == [limits[name] for name in COUNTS]
    assert (plan.price_cents, plan.duration_days, plan.sku) == (1, 7, "F")
    none = PlanChange(**dict.fromkeys(limits, 0))
    plan = (await house.plans.update(SYSTEM, plan.id, none)).plan
    for each in LIMITS:
        assert getattr(plan, each.attribute) is getattr(NEW, each.attribute) is None


async def test_however_many_make_theirs_the_default_there_is_exactly_one(house: House) -> None:
    names = [f"p{number}" for number in range(6)]
    made = [await house.plan(name) for name in names[:3]]
    changes = [
        house.plans.update(SYSTEM, each.plan.id, PlanChange(is_default=True)) for each in made
    ]
    creations = [house.plan(name, is_default=True) for name in names[3:]]
    await asyncio.gather(*changes, *creations)
    assert len(await house.defaults()) == 1


async def test_of_many_who_take_a_name_one_has_it(house: House) -> None:
    spare = await house.plan("Spare")
    attempts = [house.plan("Same") for _ in range(3)]
    renaming = house.plans.update(SYSTEM, spare.plan.id, PlanChange(name="Same"))
    answers = await asyncio.gather(*attempts, renaming, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, DomainError)]
    assert [error.kind for error in refused] == [ErrorKind.CONFLICT] * 3


async def test_the_default_cannot_be_lost(house: House) -> None:
    for attempt in (
        house.plans.delete(SYSTEM, 1),
        house.plans.update(SYSTEM, 1, PlanChange(is_default=False)),
        house.plans.update(SYSTEM, 1, PlanChange(is_active=False)),
        house.plan("Idle", is_default=True, is_active=False),
    ):
        with pytest.raises(DomainError) as error:
            await attempt
        assert error.value.kind is ErrorKind.CONFLICT
    assert await house.defaults() == ["Default"]


async def test_a_refused_change_leaves_everything_as_it_was(house: House) -> None:
    plan = await house.plan("Kept", chatbot_ids=[1])
    change = PlanChange(name="Changed", is_default=True, chatbot_ids=[], model_ids=[7])
    with pytest.raises(InvalidInput):
        await house.plans.update(SYSTEM, plan.plan.id, change)
    assert await house.plans.get(SYSTEM, plan.plan.id) == plan
    assert await house.defaults() == ["Default"]


async def test_a_subscription_is_current_from_its_start_until_before_its_end(house: House) -> None:
    owner = house.cast.owner
    with pytest.raises(NotFound):
        await house.plans.current(owner)
    plan = await house.plan("Day", duration_days=1)
    start_at = house.clock() + 10
    made = await house.subscriptions.assign(
        SYSTEM, owner.owner_id, plan_id=plan.plan.id, start_at=start_at
    )
    assert made.end_at == start_at + DAY_MICROSECONDS
    assert await house.plan_name() == "Default"
    house.clock.move(microseconds=10)
    assert await house.plans.current(owner) == (plan.plan, made)
    house.clock.move(microseconds=DAY - 1)
    assert await house.plan_name() == "Day"
    house.clock.move(microseconds=1)
    assert await house.plan_name() == "Default"
    with pytest.raises(NotFound):
        await house.plans.current(owner)


async def test_of_several_that_are_current_the_one_that_began_last_counts_everywhere(
    house: House,
) -> None:
    owner, at = house.cast.owner, house.clock()
    chatbots = ChatbotService(house.db, clock=house.clock)
    plans = []
    for name in ("Second", "Third", "First"):
        own = ChatbotChange(name=name, open_to_all=False)
        chatbot = await chatbots.create(SYSTEM, own)
        plans.append((await house.plan(name, chatbot_ids=[chatbot.id])).plan)
    async with house.db.transaction() as tx:
        for plan, start_at in zip(plans, (at - 2, at - 2, at - 3), strict=True):
            span = {"start_at": start_at, "end_at": None, "at": at}
            await tx.subscriptions.insert(owner_id=owner.owner_id, plan_id=plan.id, **span)
    async with house.db.read() as tx:
        standing = await tx.plans.standing(owner_id=owner.owner_id, at=at)
        found = await tx.subscriptions.current_between(1, owner.owner_id, at=at)
    assert standing == (plans[1], at - 2)
    assert found == {owner.owner_id: (await house.plans.current(owner))[1]}
    assert (await house.plans.current(owner))[0] == plans[1]
    assert await house.plan_name() == "Third"
    seen = {chatbot.name for chatbot in await chatbots.list(owner)}
    assert seen & {"First", "Second", "Third"} == {"Third"}


async def test_of_many_who_assign_at_once_one_subscription_stays(house: House) -> None:
    owner_id = house.cast.owner.owner_id
    plans = [await house.plan(f"p{number}") for number in range(4)]
    await asyncio.gather(
        *(house.subscriptions.assign(SYSTEM, owner_id, plan_id=each.plan.id) for each in plans)
    )
    await house.subscriptions.end(SYSTEM, owner_id)
    assert await house.plan_name() == "Default"
    with pytest.raises(NotFound):
        await house.subscriptions.end(SYSTEM, owner_id)


async def test_nobody_is_put_on_a_plan_that_is_just_deleted(house: House) -> None:
    for number in range(5):
        plan = await house.plan(f"p{number}")
        outcome = await asyncio.gather(
            house.plans.delete(SYSTEM, plan.plan.id),
            house.subscriptions.assign(SYSTEM, house.cast.owner.owner_id, plan_id=plan.plan.id),
            return_exceptions=True,
        )
        assert sum(isinstance(each, DomainError) for each in outcome) == 1


async def test_the_stranger_keeps_their_plan(house: House) -> None:
    plan = await house.plan("Own")
    await house.subscriptions.assign(SYSTEM, house.cast.owner.owner_id, plan_id=plan.plan.id)
    people = (await house.subscriptions.list(SYSTEM)).items
    on = {person.user.username: person.plan.name for person in people}
    assert on == {"owner": "Own", "stranger": "Default", "admin": "Default"}


async def test_what_was_used_since_the_start_counts_for_a_new_subscription(house: House) -> None:
    owner_id = house.cast.owner.owner_id
    house.clock.now -= house.clock.now % DAY_MICROSECONDS
    used_at = house.clock() - 2 * HOUR
    await end(house.db, await begin(house.db, owner_id, at=used_at), used=(10, 90), at=used_at)
    plan = await house.plan("Small", max_tokens=150)

    async def room(*, start_at: int) -> bool:
        await house.subscriptions.assign(SYSTEM, owner_id, plan_id=plan.plan.id, start_at=start_at)
        try:
            await begin(house.db, owner_id, prompt=60, at=house.clock())
        except QuotaExceeded:
            return False
        return True

    assert not await room(start_at=used_at - SECOND), "100 of 150 are gone"
    assert await room(start_at=used_at + SECOND), "that was before it began"


async def test_a_change_of_a_plan_counts_at_once(house: House) -> None:
    owner_id = house.cast.owner.owner_id
    plan = await house.plan("Growing", hourly_max_messages=1)
    await house.subscriptions.assign(SYSTEM, owner_id, plan_id=plan.plan.id)
    await begin(house.db, owner_id, at=house.clock())
    with pytest.raises(QuotaExceeded):
        await begin(house.db, owner_id, at=house.clock())
    await house.plans.update(SYSTEM, plan.plan.id, PlanChange(hourly_max_messages=2))
    await begin(house.db, owner_id, at=house.clock())
