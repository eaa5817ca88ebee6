"""The shapes of the chapters about plans and people, in their document's order."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from palaver.dialects.native.wire import Id, Time, render_time
from palaver.domain import plans
from palaver.domain.accounts import Registration
from palaver.domain.checks import render_decimal
from palaver.domain.cursors import Stretch
from palaver.domain.limits import COUNTS
from palaver.domain.users import Role
from palaver.web.bodies import INT64_MAX

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

# The domain holds these rules; this tells of them.
Name: TypeAlias = Annotated[
    str,
    Meta(extra_json_schema={"minLength": 1, "maxLength": plans.NAME_MAX_LENGTH, "pattern": r"\S"}),
]
Text: TypeAlias = Annotated[
    str, Meta(extra_json_schema={"maxLength": plans.DESCRIPTION_MAX_LENGTH})
]
Limit: TypeAlias = (
    Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": plans.MOST})] | UnsetType | None
)
Days: TypeAlias = Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": plans.MOST_DAYS})]
Sku: TypeAlias = Annotated[str, Meta(extra_json_schema={"maxLength": plans.NAME_MAX_LENGTH})]
Money: TypeAlias = (
    Annotated[str, Meta(extra_json_schema={"pattern": r"^[0-9]{1,15}(\.[0-9]{1,2})?$"})]
    | Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": plans.MOST_USD})]
)
Micros: TypeAlias = Annotated[
    str, Meta(extra_json_schema={"pattern": r"^[0-9]{1,15}(\.[0-9]{1,6})?$"})
]
Cost: TypeAlias = (
    Micros | Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": plans.MOST_USD})]
)
ItemIds: TypeAlias = list[Annotated[int, Meta(ge=1, le=INT64_MAX)]]


def parse_time(moment: datetime | None) -> int | None:
    """Return microseconds since the epoch; a time without an offset is UTC."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND


NAMES: Final = {
    "max_cost_micro_usd": "max_openrouter_cost_usd",
    "price_usd": "price",
    "max_cost_usd": "max_openrouter_cost_usd",
    "label": "name",
    "type": "model_type",
    "multiplier": "token_cost_multiplier",
    "prompt_price_usd": "price_per_million_prompt_usd",
    "completion_price_usd": "price_per_million_completion_usd",
    "status": "is_active",
}
"""What this contract calls limits, and the fields of changes, where the domain has other words."""


def in_domain_words(given: Struct, shape: type[Struct]) -> dict[str, Any]:
    """Return what makes the domain's change of what this contract was given."""
    return {name: getattr(given, NAMES.get(name, name)) for name in shape.__struct_fields__}


# Plans


class Plan(Struct):
    """A plan. A limit of 0 is none."""

    id: int
    name: str
    description: str
    price: str
    duration_days: int
    sku: str | None
    max_tokens: int
    max_tokens_free: int
    max_openrouter_cost_usd: str
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
    is_default: bool
    chatbot_ids: list[int]
    model_ids: list[int]
    created_at: Time

    @classmethod
    def of(cls, linked: plans.LinkedPlan) -> "Plan":
        """Render a plan."""
        plan = linked.plan
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
            is_default=bool(plan.is_default),
            chatbot_ids=list(linked.chatbot_ids),
            model_ids=list(linked.model_ids),
            created_at=render_time(plan.created_at),
            **limits,
        )


class PlanUpdate(Struct, kw_only=True):
    """What is to change of a plan. A limit of 0 or null is none."""

    name: Name | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    price: Money | UnsetType = UNSET
    duration_days: Days | UnsetType = UNSET
    sku: Sku | UnsetType | None = UNSET
    max_tokens: Limit = UNSET
    max_tokens_free: Limit = UNSET
    max_openrouter_cost_usd: Cost | UnsetType | None = UNSET
    hourly_max_messages: Limit = UNSET
    hourly_max_tokens: Limit = UNSET
    three_hours_max_messages: Limit = UNSET
    three_hours_max_tokens: Limit = UNSET
    twelve_hours_max_messages: Limit = UNSET
    twelve_hours_max_tokens: Limit = UNSET
    daily_max_messages: Limit = UNSET
    daily_max_tokens: Limit = UNSET
    weekly_max_messages: Limit = UNSET
    weekly_max_tokens: Limit = UNSET
    monthly_max_messages: Limit = UNSET
    monthly_max_tokens: Limit = UNSET
    monthly_free_model_messages: Limit = UNSET
    monthly_free_model_tokens: Limit = UNSET
    daily_image_generation_limit: Limit = UNSET
    weekly_image_generation_limit: Limit = UNSET
    monthly_image_generation_limit: Limit = UNSET
    is_active: bool | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET
    chatbot_ids: ItemIds | UnsetType = UNSET
    model_ids: ItemIds | UnsetType = UNSET

    @property
    def change(self) -> plans.PlanChange:
        """Return it in the domain's words."""
        return plans.PlanChange(**in_domain_words(self, plans.PlanChange))


class PlanCreate(PlanUpdate, kw_only=True):
    """A new plan: without price, limits and end, unless it says otherwise."""

    name: Name


class Plans(Struct):
    """Plans, oldest first."""

    items: list[Plan]
    next: str | None

    @classmethod
    def of(cls, found: Stretch[plans.LinkedPlan]) -> "Plans":
        """Render a stretch of the list."""
        return cls([Plan.of(item) for item in found.items], found.next)


# Users and subscriptions


class PlanName(Struct):
    """Which plan somebody is on."""

    id: int
    name: str


class Subscription(Struct):
    """A user's time on a plan; without an end where `end_date` is null."""

    id: int
    plan_id: int
    is_active: bool
    start_date: Time
    end_date: Time | None

    @classmethod
    def of(cls, subscription: plans.Subscription, *, is_active: bool = True) -> "Subscription":
        """Render a subscription; a `Subscriber`'s counts now."""
        end_at = subscription.end_at
        return cls(
            subscription.id,
            subscription.plan_id,
            is_active,
            render_time(subscription.start_at),
            None if end_at is None else render_time(end_at),
        )


class SubscriptionSet(Struct):
    """Which plan a user is to be on, and from when to when."""

    plan_id: Annotated[int, Meta(ge=1, le=INT64_MAX)]
    start_date: datetime | None = None
    end_date: datetime | None = None


class User(Struct):
    """An account, with the plan that it is on; without a subscription that is the default one."""

    id: Id
    username: str
    email: str | None
    name: str
    role: Literal["user", "admin"]
    is_active: bool
    has_second_factor: bool
    created_at: Time
    last_login: Time | None
    plan: PlanName
    subscription: Subscription | None

    @classmethod
    def of(cls, person: plans.Subscriber) -> "User":
        """Render an account."""
        user, mine = person.user, person.subscription
        return cls(
            id=user.uuid,
            username=user.username,
            email=user.email,
            name=user.display_name,
            role="admin" if user.role is Role.ADMIN else "user",
            is_active=user.is_active,
            has_second_factor=user.second_factor_at is not None,
            created_at=render_time(user.created_at),
            last_login=None if user.last_login_at is None else render_time(user.last_login_at),
            plan=PlanName(person.plan.id, person.plan.name),
            subscription=None if mine is None else Subscription.of(mine),
        )


class UserCreate(Struct):
    """An account that is wanted."""

    username: str
    password: str
    email: str | None = None
    name: str | None = None
    role: Literal["user", "admin"] = "user"

    @property
    def registration(self) -> Registration:
        """Return it as the domain knows it."""
        return Registration(
            username=self.username, password=self.password, email=self.email, name=self.name
        )


class UserUpdate(Struct):
    """What is to change of an account; what is absent or null stays."""

    role: Literal["user", "admin"] | None = None
    is_active: bool | None = None


class PasswordReset(Struct):
    """Where somebody chooses a new password, once, until it expires."""

    url: str
    expires_at: Time


class Users(Struct):
    """Accounts, newest first."""

    items: list[User]
    next: str | None

    @classmethod
    def of(cls, found: Stretch[plans.Subscriber]) -> "Users":
        """Render a stretch of the list."""
        return cls([User.of(item) for item in found.items], found.next)
