"""The chapters "Plans" and "Users and subscriptions"."""

import pytest

from tests.contracts import shape
from tests.dialects.native.helpers import ADMIN, EXAMPLES, NOWHERE, assert_error, made
from tests.http import MovableClock, Palaver, Visitor

PLANS = f"{ADMIN}/plans"
USERS = f"{ADMIN}/users"
DAY = 86_400
LIMITS = [
    name
    for name, value in EXAMPLES["Get Plan"].response.items()
    if name.endswith(("tokens", "messages", "limit", "free"))
]


async def subscribe(admin: Visitor, visitor: Visitor, **body: object):
    return await admin.request("PUT", f"{USERS}/{visitor.user.uuid}/subscription", body)


async def test_a_fresh_install_has_one_plan_without_limits(admin: Visitor) -> None:
    (plan,) = (await admin.get(PLANS)).json["items"]
    assert (plan["name"], plan["is_default"], plan["is_active"]) == ("Default", True, True)
    assert (plan["price"], plan["max_openrouter_cost_usd"]) == ("0.00", "0.00")
    assert {plan[name] for name in LIMITS} == {0}
    assert len(LIMITS) == 19


async def test_a_plan_needs_a_name_alone(admin: Visitor) -> None:
    plan = await made(admin, "plans", name="  Bare  ")
    (default, _) = (await admin.get(PLANS)).json["items"]
    different = {name for name in plan if plan[name] != default[name]}
    assert different == {"id", "name", "description", "is_default", "created_at"}
    assert (plan["name"], plan["is_default"], plan["is_active"]) == ("Bare", False, True)
    for body in ({}, {"price": "1"}):
        assert_error(await admin.post(PLANS, body), 400, "INVALID_INPUT", "name")


@pytest.mark.parametrize("none", [0, None])
async def test_a_limit_of_zero_or_null_is_none(admin: Visitor, none: int | None) -> None:
    plan = await made(admin, "plans", name="Limited", **dict.fromkeys(LIMITS, 7))
    assert {plan[name] for name in LIMITS} == {7}
    answer = await admin.patch(f"{PLANS}/{plan['id']}", dict.fromkeys(LIMITS, none))
    assert {answer.json[name] for name in LIMITS} == {0}
    cost = {"max_openrouter_cost_usd": none}
    answer = await admin.patch(f"{PLANS}/{plan['id']}", cost)
    assert answer.json["max_openrouter_cost_usd"] == "0.00"


@pytest.mark.parametrize(
    ("field", "given", "shown"),
    [
        ("price", "99.9", "99.90"),
        ("price", 5, "5.00"),
        ("price", "0.01", "0.01"),
        ("max_openrouter_cost_usd", "0.000001", "0.000001"),
        ("max_openrouter_cost_usd", "12.345", "12.345"),
        ("max_openrouter_cost_usd", "0.00", "0.00"),
        ("max_tokens", 2**53, 2**53),
        ("duration_days", 36_500, 36_500),
        ("sku", "", None),
        ("sku", None, None),
        ("description", "two\nlines", "two\nlines"),
    ],
)
async def test_what_is_given_is_shown(
    admin: Visitor, field: str, given: object, shown: object
) -> None:
    plan = await made(admin, "plans", name="Exact", **{field: given})
    assert plan[field] == shown


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("price", ["-1", -1, "x", "1.234", "1e3", 9.99, None, True, "", " 1", "٣", 10**12]),
        ("max_openrouter_cost_usd", ["-0.01", "0.0000001", 1.5, "NaN", "10000000000", [], 10**30]),
        ("max_tokens", [-1, 2**53 + 1, "1", 1.5, True, 10**30]),
        ("hourly_max_messages", [-1, "x"]),
        ("duration_days", [-1, 36_501, None, "30"]),
        ("name", ["", "  ", "x" * 201, None, 1, "two\nlines", "nul\0"]),
        ("sku", ["   ", "x" * 201, 1]),
        ("description", [None, "x" * 10_001, "nul\0"]),
        ("is_active", [None, 1, "true"]),
        ("is_default", [None, 0]),
        ("chatbot_ids", [[NOWHERE], None, "1"]),
        ("model_ids", [[NOWHERE], None, {}]),
    ],
)
async def test_what_makes_no_sense_is_refused_by_its_name(
    admin: Visitor, field: str, values: list[object]
) -> None:
    plan = await made(admin, "plans", name="Sound")
    for value in values:
        answer = await admin.patch(f"{PLANS}/{plan['id']}", {field: value})
        assert_error(answer, 400, "INVALID_INPUT", field)
    assert (await admin.get(f"{PLANS}/{plan['id']}")).json == plan


async def test_every_wrong_field_is_named_at_once(admin: Visitor) -> None:
    body = {"name": " ", "price": "x", "max_tokens": -1, "duration_days": 10**9, "sku": "ok"}
    answer = await admin.post(PLANS, body)
    assert_error(answer, 400, "INVALID_INPUT", "name", "price", "max_tokens", "duration_days")
    assert len((await admin.get(PLANS)).json["items"]) == 1


async def test_names_and_skus_are_unique(admin: Visitor) -> None:
    first = await made(admin, "plans", name="A", sku="S")
    second = await made(admin, "plans", name="B")
    for body in ({"name": "A"}, {"name": "C", "sku": "S"}):
        assert_error(await admin.post(PLANS, body), 409, "CONFLICT")
    path = f"{PLANS}/{second['id']}"
    for body in ({"name": "A"}, {"sku": "S"}):
        assert_error(await admin.patch(path, body), 409, "CONFLICT")
    answer = await admin.patch(f"{PLANS}/{first['id']}", {"name": "A", "sku": "S"})
    assert answer.status == 200, "its own"


async def test_exactly_one_plan_is_the_default(admin: Visitor) -> None:
    other = await made(admin, "plans", name="Other", is_default=True)
    items = (await admin.get(PLANS)).json["items"]
    assert [plan["is_default"] for plan in items] == [False, True]
    path = f"{PLANS}/{other['id']}"
    for body in ({"is_default": False}, {"is_active": False}):
        assert_error(await admin.patch(path, body), 409, "CONFLICT")
    assert_error(await admin.delete(path), 409, "CONFLICT")
    assert (await admin.patch(f"{PLANS}/1", {"is_default": True})).json["is_default"]
    items = (await admin.get(PLANS)).json["items"]
    assert [plan["is_default"] for plan in items] == [True, False]
    body = {"is_default": True, "is_active": False}
    assert_error(await admin.patch(path, body), 409, "CONFLICT")
    assert (await admin.delete(path)).status == 204


async def test_links_replace_the_former_ones(admin: Visitor) -> None:
    model = await made(admin, "models", model_id="sim/extra")
    plan = await made(admin, "plans", name="P", chatbot_ids=[1, 1], model_ids=[model["id"], 1])
    assert (plan["chatbot_ids"], plan["model_ids"]) == ([1], [1, model["id"]])
    path = f"{PLANS}/{plan['id']}"
    answer = await admin.patch(path, {"model_ids": []})
    assert (answer.json["chatbot_ids"], answer.json["model_ids"]) == ([1], [])
    body = {"chatbot_ids": [NOWHERE], "model_ids": [1, NOWHERE], "name": "Q"}
    assert_error(await admin.patch(path, body), 400, "INVALID_INPUT", "chatbot_ids", "model_ids")
    assert (await admin.get(path)).json == answer.json


async def test_users_are_shown_with_their_plan(admin: Visitor, owner: Visitor) -> None:
    example = EXAMPLES["Get User"].response
    path = f"{USERS}/{owner.user.uuid}"
    shown = (await admin.get(path)).json
    assert list(shown) == list(example)
    assert (shown["plan"], shown["subscription"]) == ({"id": 1, "name": "Default"}, None)
    assert (shown["email"], shown["username"], shown["role"]) == (None, "owner", "user")
    plan = await made(admin, "plans", name="Premium")
    answer = await subscribe(admin, owner, plan_id=plan["id"])
    assert answer.status == 200
    assert list(answer.json) == list(EXAMPLES["Set Subscription"].response)
    shown = (await admin.get(path)).json
    assert shown["plan"] == {"id": plan["id"], "name": "Premium"}
    assert shown["subscription"] == answer.json
    assert answer.json["is_active"]
    assert answer.json["end_date"] is None
    listed = (await admin.get(USERS)).json["items"]
    assert shown in listed
    assert (await admin.get(f"{USERS}/{owner.user.id}")).json == shown


async def test_a_subscription_lasts_as_long_as_its_plan_says(
    admin: Visitor, owner: Visitor, clock: MovableClock
) -> None:
    plan = await made(admin, "plans", name="Daily", duration_days=1)
    answer = await subscribe(admin, owner, plan_id=plan["id"], start_date="2024-01-15T00:00:00Z")
    assert shape(answer.json) == shape(EXAMPLES["Set Subscription"].response)
    assert answer.json["end_date"] == "2024-01-16T00:00:00.000000Z"
    assert not answer.json["is_active"], "it is over"
    assert (await admin.get(f"{USERS}/{owner.user.uuid}")).json["subscription"] is None
    await subscribe(admin, owner, plan_id=plan["id"])
    clock.move(seconds=DAY - 60)
    assert (await admin.get(f"{USERS}/{owner.user.uuid}")).json["plan"]["name"] == "Daily"
    clock.move(seconds=61)
    assert (await admin.get(f"{USERS}/{owner.user.uuid}")).json["plan"]["name"] == "Default"


async def test_a_new_subscription_ends_the_one_before_as_it_begins(
    palaver: Palaver, admin: Visitor, owner: Visitor, clock: MovableClock
) -> None:
    one, two = [await made(admin, "plans", name=name) for name in ("One", "Two")]
    await subscribe(admin, owner, plan_id=one["id"])

    async def plan() -> str:
        return (await admin.get(f"{USERS}/{owner.user.uuid}")).json["plan"]["name"]

    soon = "2999-01-01T00:00:00+02:00"
    answer = await subscribe(admin, owner, plan_id=two["id"], start_date=soon)
    assert answer.json["start_date"] == "2998-12-31T22:00:00.000000Z"
    assert (answer.json["is_active"], await plan()) == (False, "One")
    await subscribe(admin, owner, plan_id=two["id"], start_date="2020-01-01T00:00:00")
    assert await plan() == "Two"
    await subscribe(admin, owner, plan_id=one["id"])
    assert await plan() == "One"
    path = f"{USERS}/{owner.user.uuid}/subscription"
    assert (await admin.delete(path)).status == 204
    assert await plan() == "Default"
    assert_error(await admin.delete(path), 404, "NOT_FOUND")
    clock.move(seconds=1000 * 366 * DAY)
    admin = await palaver.signed_in(admin.user)
    assert await plan() == "Default", "none of them comes back"


async def test_what_is_still_to_begin_can_be_taken_back(admin: Visitor, owner: Visitor) -> None:
    plan = await made(admin, "plans", name="Later")
    await subscribe(admin, owner, plan_id=plan["id"], start_date="2999-01-01T00:00:00Z")
    path = f"{USERS}/{owner.user.uuid}/subscription"
    assert (await admin.delete(path)).status == 204
    assert_error(await admin.delete(path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["plan_id"]),
        ({"plan_id": None}, ["plan_id"]),
        ({"plan_id": "1"}, ["plan_id"]),
        ({"plan_id": NOWHERE}, ["plan_id"]),
        ({"plan_id": 0}, ["plan_id"]),
        ({"plan_id": 10**30}, ["plan_id"]),
        ({"plan_id": 1, "start_date": "tomorrow"}, ["start_date"]),
        ({"plan_id": 1, "start_date": 0}, ["start_date"]),
        ({"plan_id": 1, "start_date": "1969-12-31T23:59:59Z"}, ["start_date"]),
        ({"plan_id": 1, "end_date": "2020-01-01T00:00:00Z"}, ["end_date"]),
        ({"plan_id": 1, "end_date": "9999-12-31T23:59:59-01:00"}, ["end_date"]),
        ({"plan_id": 1, "start_date": "9999-12-31T23:59:59-01:00"}, ["start_date"]),
        (
            {
                "plan_id": 1,
                "start_date": "2025-01-01T00:00:00Z",
                "end_date": "2025-01-01T00:00:00Z",
            },
            ["end_date"],
        ),
    ],
)
async def test_a_subscription_that_makes_no_sense_is_refused(
    admin: Visitor, owner: Visitor, body: dict, fields: list[str]
) -> None:
    assert_error(await subscribe(admin, owner, **body), 400, "INVALID_INPUT", *fields)
    assert (await admin.get(f"{USERS}/{owner.user.uuid}")).json["subscription"] is None


async def test_a_plan_that_would_last_beyond_the_calendar_is_refused(
    admin: Visitor, owner: Visitor
) -> None:
    plan = await made(admin, "plans", name="Long", duration_days=36_500)
    answer = await subscribe(admin, owner, plan_id=plan["id"], start_date="9990-01-01T00:00:00Z")
    assert_error(answer, 400, "INVALID_INPUT", "end_date")


async def test_nobody_subscribes_to_an_inactive_plan(admin: Visitor, owner: Visitor) -> None:
    plan = await made(admin, "plans", name="Old", is_active=False)
    answer = await subscribe(admin, owner, plan_id=plan["id"])
    assert_error(answer, 400, "INVALID_INPUT", "plan_id")


async def test_a_plan_that_was_subscribed_to_stays(admin: Visitor, owner: Visitor) -> None:
    plan = await made(admin, "plans", name="Used")
    await subscribe(admin, owner, plan_id=plan["id"])
    answer = await admin.delete(f"{PLANS}/{plan['id']}")
    assert_error(answer, 409, "CONFLICT")
    assert "deactivate" in answer.json["message"]
    assert (await admin.patch(f"{PLANS}/{plan['id']}", {"is_active": False})).status == 200
    shown = (await admin.get(f"{USERS}/{owner.user.uuid}")).json
    assert shown["plan"]["name"] == "Used", "who has it keeps it"


async def test_a_user_who_is_not_there_is_not_found(admin: Visitor) -> None:
    for id in ("x", NOWHERE, "9" * 30, "00000000-0000-4000-8000-000000000000"):
        assert_error(await admin.get(f"{USERS}/{id}"), 404, "NOT_FOUND")
        path = f"{USERS}/{id}/subscription"
        assert_error(await admin.request("PUT", path, {"plan_id": 1}), 404, "NOT_FOUND")
        assert_error(await admin.delete(path), 404, "NOT_FOUND")
