"""Plans: what a subscription allows, in money, tokens and messages; None = no limit."""

from typing import Final

import msgspec

DAY_MICROSECONDS: Final = 86_400_000_000


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
