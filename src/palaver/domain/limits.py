"""Limits: which windows a plan watches, how much room they leave, and when there is more.

Rolling windows move in steps of five minutes: what was used leaves with its step, never early.
Day, week (from Monday) and month are those of the calendar, in UTC; a lifetime is that of the
subscription, without one that of the account.
"""

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from palaver.domain.checks import render_decimal
from palaver.domain.errors import QuotaExceeded
from palaver.domain.plans import DAY_MICROSECONDS, Plan
from palaver.domain.usage import MICRO, Amounts, Terms

STEP: Final = 300 * MICRO
HOUR: Final = 3600 * MICRO
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RETRY_LIFETIME_SECONDS: Final = 86_400


class Window(enum.StrEnum):
    """The stretch of time in which a limit counts."""

    HOUR = "hour"
    THREE_HOURS = "three_hours"
    TWELVE_HOURS = "twelve_hours"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    LIFETIME = "lifetime"


ROLLING: Final[Mapping[Window, int]] = {
    Window.HOUR: HOUR,
    Window.THREE_HOURS: 3 * HOUR,
    Window.TWELVE_HOURS: 12 * HOUR,
}
"""Lengths in microseconds."""


class Limit(msgspec.Struct, frozen=True):
    """One of a plan's fields, the amount that it caps, and the window in which."""

    attribute: str  # a field of `Plan`; some contracts have another name for it
    window: Window
    measure: str  # a field of `Amounts`


LIMITS: Final[tuple[Limit, ...]] = (
    Limit("hourly_max_messages", Window.HOUR, "messages"),
    Limit("hourly_max_tokens", Window.HOUR, "tokens"),
    Limit("three_hours_max_messages", Window.THREE_HOURS, "messages"),
    Limit("three_hours_max_tokens", Window.THREE_HOURS, "tokens"),
    Limit("twelve_hours_max_messages", Window.TWELVE_HOURS, "messages"),
    Limit("twelve_hours_max_tokens", Window.TWELVE_HOURS, "tokens"),
    Limit("daily_max_messages", Window.DAY, "messages"),
    Limit("daily_max_tokens", Window.DAY, "tokens"),
    Limit("weekly_max_messages", Window.WEEK, "messages"),
    Limit("weekly_max_tokens", Window.WEEK, "tokens"),
    Limit("monthly_max_messages", Window.MONTH, "messages"),
    Limit("monthly_max_tokens", Window.MONTH, "tokens"),
    Limit("monthly_free_model_messages", Window.MONTH, "free_messages"),
    Limit("monthly_free_model_tokens", Window.MONTH, "free_tokens"),
    Limit("max_tokens", Window.LIFETIME, "tokens"),
    Limit("max_tokens_free", Window.LIFETIME, "free_tokens"),
    Limit("max_cost_micro_usd", Window.LIFETIME, "cost_micro_usd"),
    Limit("daily_image_generation_limit", Window.DAY, "images"),
    Limit("weekly_image_generation_limit", Window.WEEK, "images"),
    Limit("monthly_image_generation_limit", Window.MONTH, "images"),
)
"""Every one that a plan may set. What lists a plan's limits takes them from here."""

MONEY: Final = "cost_micro_usd"
COUNTS: Final = tuple(limit.attribute for limit in LIMITS if limit.measure != MONEY)
"""Those that are whole numbers on the wire: all but money."""


class Limited(msgspec.Struct, frozen=True):
    """A limit that a plan sets, with its value."""

    limit: Limit
    most: int

    def left(self, used: Mapping[Window, Amounts]) -> int:
        """Return how much may still be used; negative when more was used than is allowed now."""
        amount: int = getattr(used[self.limit.window], self.limit.measure)
        return self.most - amount

    @property
    def words(self) -> str:
        """Return it in words: `10 messages an hour`, `2.50 USD in all`."""
        one, more = _WORDS[self.limit.measure]
        is_money = self.limit.measure == MONEY
        amount = render_decimal(self.most, places=6) if is_money else f"{self.most:,}"
        return f"{amount} {one if self.most == 1 else more} {_WITHIN[self.limit.window]}"


_WORDS: Final = {
    "messages": ("message", "messages"),
    "tokens": ("token", "tokens"),
    "free_messages": ("message to free models", "messages to free models"),
    "free_tokens": ("token of free models", "tokens of free models"),
    "images": ("image", "images"),
    MONEY: ("USD", "USD"),
}
_WITHIN: Final = {
    Window.HOUR: "an hour",
    Window.THREE_HOURS: "in three hours",
    Window.TWELVE_HOURS: "in twelve hours",
    Window.DAY: "a day",
    Window.WEEK: "a week",
    Window.MONTH: "a month",
    Window.LIFETIME: "in all",
}


def limits_of(plan: Plan, *, measures: Iterable[str]) -> list[Limited]:
    """Return the limits that a plan sets on these amounts."""
    wanted = frozenset(measures)
    return [
        Limited(limit, most)
        for limit in LIMITS
        if limit.measure in wanted and (most := getattr(plan, limit.attribute)) is not None
    ]


PAID: Final = frozenset({"messages", "tokens", "cost_micro_usd"})
FREE: Final = frozenset({"free_messages", "free_tokens"})
IMAGES: Final = frozenset({"images"})
COST: Final = frozenset({"cost_micro_usd"})


class Need(msgspec.Struct, frozen=True):
    """What a call is about to use: its prompt at worst, and the cap of its answer in tokens.

    An answer of fewer than `least_tokens` is none.
    """

    terms: Terms
    prompt_tokens: int
    max_tokens: int
    least_tokens: int = 1
    images: int = 0


class Refusal(msgspec.Struct, frozen=True):
    """A limit without room: how much the smallest call needs there, and its value."""

    limited: Limited
    need: int


def granted(
    need: Need, limits: Sequence[Limited], used: Mapping[Window, Amounts]
) -> tuple[int, int, list[Refusal]]:
    """Return how long the answer may be, what cost to hold, and the limits that refuse.

    Refused is only what cannot hold the prompt and the least of an answer.
    """
    terms, max_tokens, refusals = need.terms, need.max_tokens, []
    cost_left: int | None = None
    for limited in limits:
        left = limited.left(used)
        match limited.limit.measure:
            case "messages" | "free_messages":
                smallest, room = 1, need.max_tokens if left >= 1 else 0
            case "tokens" | "free_tokens":
                smallest = terms.weigh(need.prompt_tokens + need.least_tokens)
                per = 100 if terms.is_free else terms.multiplier_percent
                room = left * 100 // per - need.prompt_tokens
            case "cost_micro_usd":
                smallest, room = _cost_room(need, left)
                cost_left = left if cost_left is None else min(cost_left, left)
            case "images":
                smallest, room = need.images, need.max_tokens if left >= need.images else 0
            case _:
                continue
        if room < need.least_tokens:
            refusals.append(Refusal(limited, smallest))
        max_tokens = min(max_tokens, room)
    cost = terms.cost(need.prompt_tokens, max(max_tokens, 0))
    if cost is None:
        cost = max(cost_left or 0, 0)  # with neither price nor figure: all that is left
    return max_tokens, cost, refusals


def _cost_room(need: Need, left: int) -> tuple[int, int]:
    terms = need.terms
    smallest = terms.cost(need.prompt_tokens, need.least_tokens)
    if terms.prompt_price is None or terms.completion_price is None or smallest is None:
        return 1, need.max_tokens if left > 0 else 0
    if smallest > left:
        return smallest, 0
    if terms.completion_price == 0:
        return smallest, need.max_tokens
    rest = left * MICRO - need.prompt_tokens * terms.prompt_price
    return smallest, rest // terms.completion_price


def starts_at(window: Window, at: int) -> int:
    """Return the start of the first bucket that counts in a window at an instant."""
    if window in ROLLING:
        since = at - ROLLING[window]
        return since - since % STEP
    day = at - at % DAY_MICROSECONDS
    match window:
        case Window.DAY:
            return day
        case Window.WEEK:  # the epoch was a Thursday
            return day - (day // DAY_MICROSECONDS + 3) % 7 * DAY_MICROSECONDS
        case Window.MONTH:
            moment = _EPOCH + timedelta(microseconds=day)
            return day - (moment.day - 1) * DAY_MICROSECONDS
        case _:
            return 0


def ends_at(window: Window, at: int) -> int | None:
    """Return the end of a calendar window; None for what does not end by the calendar."""
    start = starts_at(window, at)
    match window:
        case Window.DAY:
            return start + DAY_MICROSECONDS
        case Window.WEEK:
            return start + 7 * DAY_MICROSECONDS
        case Window.MONTH:
            return starts_at(Window.MONTH, start + 32 * DAY_MICROSECONDS)
        case _:
            return None


def frees_at(refusal: Refusal, steps: Sequence[tuple[int, Amounts]], *, at: int) -> int | None:
    """Return when a refused limit has room again; None = never by itself.

    `steps` are the five-minute buckets of the rolling windows, oldest first.
    """
    limited = refusal.limited
    if refusal.need > limited.most:
        return None
    window = limited.limit.window
    if window not in ROLLING:
        return ends_at(window, at)
    since = starts_at(window, at)
    counted = [(s, getattr(a, limited.limit.measure)) for s, a in steps if s >= since]
    too_much = sum(amount for _, amount in counted) + refusal.need - limited.most
    for start, amount in counted:
        too_much -= amount
        if too_much <= 0:
            return start + STEP + ROLLING[window]
    return at + STEP


def quota_error(
    refusals: Sequence[Refusal], steps: Sequence[tuple[int, Amounts]], *, at: int
) -> QuotaExceeded:
    """Return the error that names the limit that frees last."""
    ranked = [(frees_at(refusal, steps, at=at), refusal.limited) for refusal in refusals]
    reset_at, limited = max(ranked, key=lambda pair: (pair[0] is None, pair[0] or 0))
    retry = _RETRY_LIFETIME_SECONDS if reset_at is None else max(-(-(reset_at - at) // MICRO), 1)
    when = "" if reset_at is None else f" Try again after {_spoken(reset_at)}."
    return QuotaExceeded(
        f"Your plan's limit of {limited.words} leaves no room for this.{when}",
        limit=limited.limit.attribute,
        window=limited.limit.window.value,
        reset_at=reset_at,
        retry_after_seconds=retry,
    )


def _spoken(instant: int) -> str:
    moment = _EPOCH + timedelta(microseconds=instant)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
