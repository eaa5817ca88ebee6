"""Plans: what a subscription allows, in money, tokens and messages; None = no limit."""

from typing import Any, Final

import msgspec
from msgspec import UNSET

from palaver.domain.checks import (
    Change,
    Checks,
    Count,
    CountOrNone,
    Decimal,
    DecimalOrNone,
    Flag,
    Ids,
    Text,
    TextOrNone,
)
from palaver.domain.users import User

DAY_MICROSECONDS: Final = 86_400_000_000
NAME_MAX_LENGTH: Final = 200
DESCRIPTION_MAX_LENGTH: Final = 10_000
MOST: Final = 2**53
"""The highest limit: what a client that knows only floating point still reads exactly."""
MOST_USD: Final = 1_000_000_000
MOST_DAYS: Final = 36_500


class Plan(msgspec.Struct, frozen=True, gc=False):
    """What its subscribers may use. Contract `subscriptions`: "Get User Subscription".

    Money is whole cents, cost micro-USD; limits are counts, and None where there is none.
    """

    id: int
    name: str
    description: str
    price_cents: int
    duration_days: int  # of a subscription whose end nobody names; 0 = without end
    sku: str | None
    max_tokens: int | None
    max_tokens_free: int | None
    max_cost_micro_usd: int | None
    hourly_max_messages: int | None
    hourly_max_tokens: int | None
    three_hours_max_messages: int | None
    three_hours_max_tokens: int | None
    twelve_hours_max_messages: int | None
    twelve_hours_max_tokens: int | None
    daily_max_messages: int | None
    daily_max_tokens: int | None
    weekly_max_messages: int | None
    weekly_max_tokens: int | None
    monthly_max_messages: int | None
    monthly_max_tokens: int | None
    monthly_free_model_messages: int | None
    monthly_free_model_tokens: int | None
    daily_image_generation_limit: int | None
    weekly_image_generation_limit: int | None
    monthly_image_generation_limit: int | None
    is_active: int  # can be subscribed to
    is_default: int  # of users without a subscription
    created_at: int


class PlanChange(Change, frozen=True, kw_only=True):
    """What an administrator says of a plan; UNSET = stays as it is.

    Money is a decimal number as text, or whole USD. A limit of None or 0 is none.
    """

    name: Text = UNSET
    description: Text = UNSET
    price_usd: Decimal = UNSET
    duration_days: Count = UNSET
    sku: TextOrNone = UNSET
    max_tokens: CountOrNone = UNSET
    max_tokens_free: CountOrNone = UNSET
    max_cost_usd: DecimalOrNone = UNSET
    hourly_max_messages: CountOrNone = UNSET
    hourly_max_tokens: CountOrNone = UNSET
    three_hours_max_messages: CountOrNone = UNSET
    three_hours_max_tokens: CountOrNone = UNSET
    twelve_hours_max_messages: CountOrNone = UNSET
    twelve_hours_max_tokens: CountOrNone = UNSET
    daily_max_messages: CountOrNone = UNSET
    daily_max_tokens: CountOrNone = UNSET
    weekly_max_messages: CountOrNone = UNSET
    weekly_max_tokens: CountOrNone = UNSET
    monthly_max_messages: CountOrNone = UNSET
    monthly_max_tokens: CountOrNone = UNSET
    monthly_free_model_messages: CountOrNone = UNSET
    monthly_free_model_tokens: CountOrNone = UNSET
    daily_image_generation_limit: CountOrNone = UNSET
    weekly_image_generation_limit: CountOrNone = UNSET
    monthly_image_generation_limit: CountOrNone = UNSET
    is_active: Flag = UNSET
    is_default: Flag = UNSET
    chatbot_ids: Ids = UNSET
    model_ids: Ids = UNSET

    def columns(self) -> dict[str, Any]:
        """Return the fields of the plan that are different afterwards.

        Raises `InvalidInput`, with every wrong one.
        """
        checks = Checks()
        columns = dict(
            _column(checks, *item) for item in self.given.items() if item[0] not in LINKS
        )
        checks.end()
        return columns


LINKS: Final = frozenset({"chatbot_ids", "model_ids"})

_NOTHING: Final[dict[str, Any]] = dict.fromkeys(Plan.__struct_fields__)
_PLAIN: Final = {"id": 0, "name": "", "description": "", "price_cents": 0, "duration_days": 0}
NEW: Final = Plan(**_NOTHING | _PLAIN | {"is_active": 1, "is_default": 0, "created_at": 0})
"""A plan before anything is said of it: it costs nothing, limits nothing, never ends."""


def _column(checks: Checks, field: str, given: Any) -> tuple[str, int | str | None]:
    match field:
        case "name":
            return field, checks.line(field, given, max_length=NAME_MAX_LENGTH)
        case "description":
            return field, checks.text(field, given, max_length=DESCRIPTION_MAX_LENGTH)
        case "sku":
            return field, checks.line(field, given, max_length=NAME_MAX_LENGTH) if given else None
        case "price_usd":
            return "price_cents", checks.decimal(field, given, places=2, most=MOST_USD)
        case "max_cost_usd":
            cost = checks.decimal(field, given or 0, places=6, most=MOST_USD)
            return "max_cost_micro_usd", cost or None
        case "duration_days":
            return field, checks.whole(field, given, most=MOST_DAYS)
        case "is_active" | "is_default":
            return field, int(given)
        case _:
            return field, checks.whole(field, given or 0, most=MOST) or None


class LinkedPlan(msgspec.Struct, frozen=True):
    """A plan with the chatbots and models that it holds beside those that are open to all."""

    plan: Plan
    chatbot_ids: tuple[int, ...] = ()
    model_ids: tuple[int, ...] = ()


class Subscription(msgspec.Struct, frozen=True, gc=False):
    """A user's time on a plan: from `start_at` until before `end_at`, None = without end."""

    id: int
    owner_id: int
    plan_id: int
    start_at: int
    end_at: int | None
    created_at: int

    def is_current(self, *, at: int) -> bool:
        """Tell whether it counts at an instant."""
        return self.start_at <= at and (self.end_at is None or at < self.end_at)


class Subscriber(msgspec.Struct, frozen=True):
    """An account with the plan that it is on; without a subscription that is the default one.

    The subscription is the one that counts now.
    """

    user: User
    plan: Plan
    subscription: Subscription | None
