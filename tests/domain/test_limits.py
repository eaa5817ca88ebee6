from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.commands import options
from palaver.dialects.native import admin_wire
from palaver.dialects.subscriptions.users_wire import SubscriptionType
from palaver.domain.errors import QuotaExceeded
from palaver.domain.limits import (
    COUNTS,
    FREE,
    HOUR,
    LIMITS,
    PAID,
    ROLLING,
    STEP,
    Need,
    Window,
    ends_at,
    granted,
    limits_of,
    quota_error,
    starts_at,
)
from palaver.domain.plans import NEW, Plan, PlanChange
from palaver.domain.usage import MICRO, NOTHING, Amounts, Terms

OTHERS = {
    *("id", "name", "description", "price", "price_usd", "duration_days", "sku"),
    *("is_active", "is_default", "chatbot_ids", "model_ids", "created_at"),
}
"""What a plan has beside its limits."""
INSTANTS = st.integers(min_value=0, max_value=4_000_000_000 * MICRO)
UNUSED = dict.fromkeys(Window, NOTHING)


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * MICRO


def a_plan(**limits: int) -> Plan:
    fields = dict.fromkeys(Plan.__struct_fields__) | {"id": 1, "name": "Small"}
    return Plan(**fields | limits)  # type: ignore[arg-type]


def test_every_limit_is_a_field_of_a_plan_and_every_field_without_a_value_is_one():
    unset = {name for name in Plan.__struct_fields__ if getattr(NEW, name) is None}
    assert {limit.attribute for limit in LIMITS} == unset - {"sku"}


@pytest.mark.parametrize(
    ("fields", "money"),
    [
        (PlanChange.__struct_fields__, "max_cost_usd"),
        (admin_wire.Plan.__struct_fields__, "max_openrouter_cost_usd"),
        (admin_wire.PlanUpdate.__struct_fields__, "max_openrouter_cost_usd"),
        (SubscriptionType.__struct_fields__, "max_openrouter_cost_usd"),
        ((*options.COUNTS, "max_openrouter_cost_usd"), "max_openrouter_cost_usd"),
    ],
    ids=["change", "native", "native's change", "subscriptions", "commands"],
)
def test_what_lists_the_limits_by_hand_lists_every_one_and_no_other(fields, money):
    assert set(fields) - OTHERS == {*COUNTS, money}


@pytest.mark.parametrize(
    ("field", "most", "words"),
    [
        ("hourly_max_messages", 1, "1 message an hour"),
        ("three_hours_max_tokens", 12_000, "12,000 tokens in three hours"),
        ("monthly_free_model_messages", 5, "5 messages to free models a month"),
        ("max_cost_micro_usd", 2_500_000, "2.50 USD in all"),
        ("max_cost_micro_usd", 30, "0.00003 USD in all"),
        ("weekly_image_generation_limit", 2, "2 images a week"),
    ],
)
def test_a_limit_is_told_in_words(field, most, words):
    (limited,) = limits_of(a_plan(**{field: most}), measures=Amounts.__struct_fields__)
    assert limited.words == words


@given(INSTANTS, st.sampled_from(sorted(ROLLING)))
def test_a_rolling_window_counts_a_step_until_all_of_it_is_older_than_the_window(at, window):
    first = starts_at(window, at)
    assert first % STEP == 0
    assert first + STEP + ROLLING[window] > at
    assert first + ROLLING[window] <= at


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        (Window.DAY, "2026-03-01", "2026-03-02"),
        (Window.WEEK, "2026-02-23", "2026-03-02"),
        (Window.MONTH, "2026-03-01", "2026-04-01"),
    ],
)
def test_calendar_windows_are_those_of_utc_and_a_week_begins_on_monday(window, start, end):
    at = instant("2026-03-01T23:59:59")  # a Sunday
    assert starts_at(window, at) == instant(start)
    assert ends_at(window, at) == instant(end)


@given(INSTANTS)
def test_the_calendar_agrees_with_pythons(at):
    moment = datetime.fromtimestamp(at // MICRO, UTC)
    monday = starts_at(Window.WEEK, at)
    assert datetime.fromtimestamp(monday // MICRO, UTC).weekday() == 0
    assert 0 <= at - monday < 7 * 24 * HOUR
    assert datetime.fromtimestamp(starts_at(Window.MONTH, at) // MICRO, UTC) == datetime(
        moment.year, moment.month, 1, tzinfo=UTC
    )


def test_an_answer_is_cut_down_to_what_the_tightest_limit_leaves():
    limits = limits_of(a_plan(hourly_max_tokens=100, daily_max_tokens=1_000), measures=PAID)
    used = UNUSED | {Window.DAY: Amounts(tokens=950)}
    assert granted(Need(Terms(), 20, 8192), limits, used) == (30, 0, [])


def test_tokens_are_weighed_by_the_model_and_rounded_up():
    limits = limits_of(a_plan(hourly_max_tokens=100), measures=PAID)
    allowed, _, refusals = granted(Need(Terms(multiplier_percent=150), 20, 8192), limits, UNUSED)
    assert (allowed, refusals) == (46, [])
    assert Terms(multiplier_percent=150).weigh(20 + allowed) <= 100
    assert Terms(multiplier_percent=150).weigh(1) == 2


def test_what_cannot_hold_the_prompt_and_one_token_is_refused():
    limits = limits_of(a_plan(hourly_max_tokens=20), measures=PAID)
    assert granted(Need(Terms(), 19, 10), limits, UNUSED)[0] == 1
    (refusal,) = granted(Need(Terms(), 20, 10), limits, UNUSED)[2]
    assert refusal.limited.limit.attribute == "hourly_max_tokens"


def test_a_free_model_counts_only_against_the_limits_for_free_models():
    plan = a_plan(hourly_max_messages=1, max_tokens=1, max_tokens_free=50)
    free = Terms(is_free=True, multiplier_percent=300)
    assert granted(Need(free, 10, 100), limits_of(plan, measures=FREE), UNUSED) == (40, 0, [])


def test_a_priced_answer_is_cut_down_to_what_the_cost_limit_leaves():
    limits = limits_of(a_plan(max_cost_micro_usd=1_000), measures=PAID)
    terms = Terms(prompt_price=2 * MICRO, completion_price=10 * MICRO)
    assert granted(Need(terms, 100, 8192), limits, UNUSED) == (80, 1_000, [])
    assert granted(Need(terms, 500, 8192), limits, UNUSED)[2]


def test_an_unpriced_run_holds_all_that_a_cost_limit_leaves():
    limits = limits_of(a_plan(max_cost_micro_usd=1_000), measures=PAID)
    used = UNUSED | {Window.LIFETIME: Amounts(cost_micro_usd=400)}
    assert granted(Need(Terms(), 10, 100), limits, used) == (100, 600, [])
    used = UNUSED | {Window.LIFETIME: Amounts(cost_micro_usd=1_000)}
    assert granted(Need(Terms(), 10, 100), limits, used)[2]


def refused(at: int, steps: list[tuple[int, Amounts]], **limits: int) -> QuotaExceeded:
    watched = limits_of(a_plan(**limits), measures=PAID)
    full = dict.fromkeys(Window, Amounts(10_000, 10_000, cost_micro_usd=10_000))
    refusals = granted(Need(Terms(), 10, 100), watched, full)[2]
    return quota_error(refusals, steps, at=at)


def test_of_several_limits_the_one_that_frees_last_is_named():
    at = instant("2026-03-01T23:30:00")
    error = refused(at, [], hourly_max_messages=5, daily_max_messages=7, monthly_max_messages=9)
    assert (error.limit, error.window) == ("monthly_max_messages", "month")
    assert error.reset_at == instant("2026-04-01")
    assert error.retry_after_seconds == (error.reset_at - at) // MICRO
    error = refused(at, [], monthly_max_messages=9, max_cost_micro_usd=1)
    assert (error.limit, error.window) == ("max_cost_micro_usd", "lifetime")
    assert (error.reset_at, error.retry_after_seconds) == (None, 86_400)


def test_a_rolling_window_has_room_when_enough_steps_have_left_it():
    at = instant("2026-03-01T12:03:00")
    first, second = instant("2026-03-01T11:10:00"), instant("2026-03-01T11:30:00")
    steps = [(first, Amounts(messages=2)), (second, Amounts(messages=3))]
    assert refused(at, steps, hourly_max_messages=5).reset_at == first + STEP + HOUR
    assert refused(at, steps, hourly_max_messages=3).reset_at == second + STEP + HOUR


def test_a_limit_below_the_smallest_call_never_frees():
    error = refused(instant("2026-03-01"), [], hourly_max_tokens=5)
    assert (error.window, error.reset_at) == ("hour", None)
