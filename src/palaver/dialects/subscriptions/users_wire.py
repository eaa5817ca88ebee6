"""The shapes of the chapter "Users", in its document's order."""

from msgspec import Struct

from palaver.dialects.subscriptions.wire import Money, Time, render_time, render_time_if
from palaver.domain import plans, users
from palaver.domain.checks import render_decimal
from palaver.domain.limits import COUNTS


class User(Struct):
    """A user, as they see themselves."""

    id: int
    phone_number: str | None
    name: str
    is_verified: bool
    date_joined: Time

    @classmethod
    def of(cls, user: users.User) -> "User":
        """Render a user."""
        return cls(
            user.id,
            user.phone_number,
            user.display_name,
            user.verified_at is not None,
            render_time(user.created_at),
        )


def limit_name(attribute: str) -> str:
    """Return what this contract calls a limit, a field of a plan."""
    return "max_openrouter_cost_usd" if attribute == "max_cost_micro_usd" else attribute


class SubscriptionType(Struct):
    """A plan; a limit of 0 is none."""

    id: int
    name: str
    description: str
    price: Money
    duration_days: int
    sku: str | None
    max_tokens: int
    max_tokens_free: int
    max_openrouter_cost_usd: Money
    hourly_max_messages: int
    hourly_max_tokens: int
    three_hours_max_messages: int
    three_hours_max_tokens: int
    twelve_hours_max_messages: int
    twelve_hours_max_tokens: int
    daily_max_messages: int
    daily_max_tokens: int
    weekly_max_messages: int
    weekly_max_tokens: int
    monthly_max_messages: int
    monthly_max_tokens: int
    monthly_free_model_messages: int
    monthly_free_model_tokens: int
    daily_image_generation_limit: int
    weekly_image_generation_limit: int
    monthly_image_generation_limit: int
    is_active: bool
    created_at: Time

    @classmethod
    def of(cls, plan: plans.Plan) -> "SubscriptionType":
        """Render a plan."""
        limits = {name: getattr(plan, name) or 0 for name in COUNTS}
        return cls(
            id=plan.id,
            name=plan.name,
            description=plan.description,
            price=render_decimal(plan.price_cents, places=2),
            duration_days=plan.duration_days,
            sku=plan.sku,
            max_openrouter_cost_usd=render_decimal(plan.max_cost_micro_usd or 0, places=6),
            is_active=bool(plan.is_active),
            created_at=render_time(plan.created_at),
            **limits,
        )


class Subscription(Struct):
    """A user's time on a plan."""

    id: int
    subscription_type: SubscriptionType
    is_active: bool
    start_date: Time
    end_date: Time | None

    @classmethod
    def of(cls, plan: plans.Plan, subscription: plans.Subscription) -> "Subscription":
        """Render the subscription that counts now."""
        return cls(
            subscription.id,
            SubscriptionType.of(plan),
            True,
            render_time(subscription.start_at),
            render_time_if(subscription.end_at),
        )
