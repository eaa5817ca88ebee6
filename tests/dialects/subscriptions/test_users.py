"""The chapter "Users": who one is, and what one has subscribed to."""

from datetime import UTC, datetime
from typing import Any

from palaver.dialects.native.admin_wire import PlanUpdate
from palaver.domain.plans import PlanChange
from palaver.domain.users import SYSTEM
from palaver.kit.clock import DAY
from tests.contracts import shape
from tests.dialects.subscriptions.helpers import EXAMPLES, TIME, assert_error
from tests.http import MovableClock, Palaver, Visitor

NONE = "No active subscription found"
PATH = "/api/users/subscription/"
PREMIUM: dict[str, Any] = EXAMPLES["Get User Subscription"].response["subscription_type"]
# What an administrator says of a plan; the rest of the example is made with it.
SAID = {name: value for name, value in PREMIUM.items() if name not in {"id", "created_at"}}


async def test_one_s_account_is_shown_as_documented(owner: Visitor) -> None:
    answer = await owner.get("/api/users/")
    assert answer.status == 200
    example = EXAMPLES["Get Current User"].response
    assert [*answer.json] == [*example]
    assert shape(answer.json | {"phone_number": "+1"}) == shape(example)
    assert answer.json["id"] == owner.user.id
    assert answer.json["name"] == "owner"
    assert answer.json["phone_number"] is None
    assert answer.json["is_verified"] is False
    assert TIME.fullmatch(answer.json["date_joined"])


async def test_without_a_subscription_there_is_none(owner: Visitor) -> None:
    assert_error(await owner.get(PATH), 404, NONE)


async def test_a_subscription_is_shown_as_documented(owner: Visitor, palaver: Palaver) -> None:
    example = EXAMPLES["Get User Subscription"].response
    linked = await palaver.services.plans.create(SYSTEM, PlanUpdate(**SAID).change)
    subscriptions = palaver.services.subscriptions
    assigned = await subscriptions.assign(SYSTEM, owner.user.id, plan_id=linked.plan.id)
    answer = await owner.get(PATH)
    assert answer.status == 200
    assert shape(answer.json) == shape(example)
    shown = answer.json["subscription_type"]
    assert shown | {"id": 1, "created_at": PREMIUM["created_at"]} == PREMIUM
    assert answer.json["id"] == assigned.id
    assert answer.json["is_active"] is True
    begun, ended = (parsed(answer.json[name]) for name in ("start_date", "end_date"))
    assert (ended - begun).days == PREMIUM["duration_days"]


async def test_a_plan_that_limits_nothing_shows_zeros(owner: Visitor, palaver: Palaver) -> None:
    linked = await palaver.services.plans.create(SYSTEM, PlanChange(name="Open"))
    await palaver.services.subscriptions.assign(SYSTEM, owner.user.id, plan_id=linked.plan.id)
    answer = await owner.get(PATH)
    assert answer.json["end_date"] is None
    shown = answer.json["subscription_type"]
    assert shown["sku"] is None
    assert shown["price"] == shown["max_openrouter_cost_usd"] == "0.00"
    limits = [value for name, value in shown.items() if "max_" in name or "limit" in name]
    assert set(limits) == {0, "0.00"}


async def test_costs_have_as_many_places_as_they_need(owner: Visitor, palaver: Palaver) -> None:
    plan = PlanChange(name="Exact", price_usd="0.05", max_cost_usd="0.000125")
    linked = await palaver.services.plans.create(SYSTEM, plan)
    await palaver.services.subscriptions.assign(SYSTEM, owner.user.id, plan_id=linked.plan.id)
    shown = (await owner.get(PATH)).json["subscription_type"]
    assert (shown["price"], shown["max_openrouter_cost_usd"]) == ("0.05", "0.000125")


async def test_a_subscription_that_has_ended_is_none(
    owner: Visitor, palaver: Palaver, clock: MovableClock
) -> None:
    linked = await palaver.services.plans.create(SYSTEM, PlanChange(name="Short", duration_days=1))
    await palaver.services.subscriptions.assign(SYSTEM, owner.user.id, plan_id=linked.plan.id)
    assert (await owner.get(PATH)).status == 200
    clock.move(seconds=DAY / 1_000_000)
    assert_error(await owner.get(PATH), 404, NONE)


async def test_a_subscription_that_has_not_begun_is_none(
    owner: Visitor, palaver: Palaver, clock: MovableClock
) -> None:
    linked = await palaver.services.plans.create(SYSTEM, PlanChange(name="Later"))
    await palaver.services.subscriptions.assign(
        SYSTEM, owner.user.id, plan_id=linked.plan.id, start_at=clock() + DAY
    )
    assert_error(await owner.get(PATH), 404, NONE)


async def test_nobody_sees_the_subscription_of_another(
    owner: Visitor, stranger: Visitor, palaver: Palaver
) -> None:
    linked = await palaver.services.plans.create(SYSTEM, PlanChange(name="Mine"))
    await palaver.services.subscriptions.assign(SYSTEM, owner.user.id, plan_id=linked.plan.id)
    assert (await owner.get(PATH)).status == 200
    assert_error(await stranger.get(PATH), 404, NONE)


def parsed(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
