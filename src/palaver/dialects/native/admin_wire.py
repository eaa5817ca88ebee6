"""The shapes of the chapters about administration, in their document's order."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from palaver.dialects.native.wire import Id, Time, render_time
from palaver.domain import chatbots, models, plans
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
ModelName: TypeAlias = Annotated[
    str,
    Meta(extra_json_schema={"minLength": 1, "maxLength": models.NAME_MAX_LENGTH, "pattern": r"\S"}),
]
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
TokenPrice: TypeAlias = (
    Micros | Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": models.MOST_USD})]
)
Times: TypeAlias = (
    Annotated[str, Meta(extra_json_schema={"pattern": r"^[0-9]{1,15}(\.[0-9]{1,2})?$"})]
    | Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": models.MOST_TIMES})]
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
}
"""What this contract calls limits, and the fields of changes, where the domain has other words."""


def _in_domain_words(given: Struct, shape: type[Struct]) -> dict[str, Any]:
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
        return plans.PlanChange(**_in_domain_words(self, plans.PlanChange))


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
            created_at=render_time(user.created_at),
            last_login=None if user.last_login_at is None else render_time(user.last_login_at),
            plan=PlanName(person.plan.id, person.plan.name),
            subscription=None if mine is None else Subscription.of(mine),
        )


class Users(Struct):
    """Accounts, newest first."""

    items: list[User]
    next: str | None

    @classmethod
    def of(cls, found: Stretch[plans.Subscriber]) -> "Users":
        """Render a stretch of the list."""
        return cls([User.of(item) for item in found.items], found.next)


# Chatbots


class Chatbot(Struct):
    """A persona on offer."""

    id: int
    name: str
    description: str
    image: str
    is_active: bool
    system_prompt: str
    chatbot_type: chatbots.ChatbotType
    open_to_all: bool
    created_at: Time

    @classmethod
    def of(cls, chatbot: chatbots.Chatbot) -> "Chatbot":
        """Render a chatbot."""
        return cls(
            id=chatbot.id,
            name=chatbot.name,
            description=chatbot.description,
            image=chatbot.image,
            is_active=bool(chatbot.is_active),
            system_prompt=chatbot.system_prompt,
            chatbot_type=chatbot.chatbot_type,
            open_to_all=bool(chatbot.open_to_all),
            created_at=render_time(chatbot.created_at),
        )


class ChatbotUpdate(Struct, kw_only=True):
    """What is to change of a chatbot."""

    name: Name | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    image: str | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    system_prompt: str | UnsetType = UNSET
    chatbot_type: chatbots.ChatbotType | UnsetType = UNSET
    open_to_all: bool | UnsetType = UNSET

    @property
    def change(self) -> chatbots.ChatbotChange:
        """Return it in the domain's words."""
        return chatbots.ChatbotChange(**asdict(self))


class ChatbotCreate(ChatbotUpdate, kw_only=True):
    """A new chatbot: active, for text and open to all, unless it says otherwise."""

    name: Name


class Chatbots(Struct):
    """Chatbots, oldest first."""

    items: list[Chatbot]
    next: str | None

    @classmethod
    def of(cls, found: Stretch[chatbots.Chatbot]) -> "Chatbots":
        """Render a stretch of the list."""
        return cls([Chatbot.of(item) for item in found.items], found.next)


# Models


class Model(Struct):
    """A row of the registry. Prices are USD for a million tokens, null where nobody set one."""

    id: int
    provider_id: str
    model_id: str
    name: str
    description: str
    model_type: models.ModelType
    is_active: bool
    is_free: bool
    token_cost_multiplier: str
    price_per_million_prompt_usd: str | None
    price_per_million_completion_usd: str | None
    open_to_all: bool
    created_at: Time

    @classmethod
    def of(cls, model: models.Model) -> "Model":
        """Render a model."""
        return cls(
            id=model.id,
            provider_id=model.provider_id,
            model_id=model.name,
            name=model.label,
            description=model.description,
            model_type=model.model_type,
            is_active=bool(model.is_active),
            is_free=bool(model.is_free),
            token_cost_multiplier=render_decimal(model.multiplier_percent, places=2),
            price_per_million_prompt_usd=_render_price(model.prompt_price),
            price_per_million_completion_usd=_render_price(model.completion_price),
            open_to_all=bool(model.open_to_all),
            created_at=render_time(model.created_at),
        )


def _render_price(micro_usd: int | None) -> str | None:
    return None if micro_usd is None else render_decimal(micro_usd, places=6)


class ModelUpdate(Struct, kw_only=True):
    """What is to change of a model; a price of null is none, a type of null its provider's word."""

    name: ModelName | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    model_type: models.ModelType | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET
    is_free: bool | UnsetType = UNSET
    token_cost_multiplier: Times | UnsetType = UNSET
    price_per_million_prompt_usd: TokenPrice | UnsetType | None = UNSET
    price_per_million_completion_usd: TokenPrice | UnsetType | None = UNSET
    open_to_all: bool | UnsetType = UNSET

    @property
    def change(self) -> models.ModelChange:
        """Return it in the domain's words."""
        return models.ModelChange(**_in_domain_words(self, models.ModelChange))


class ModelCreate(ModelUpdate, kw_only=True):
    """A model that its provider need not list; `model_id` is the whole `provider/name`."""

    model_id: ModelName
    provider_id: str | None = None


class Models(Struct):
    """Models, oldest first."""

    items: list[Model]
    next: str | None

    @classmethod
    def of(cls, found: Stretch[models.Model]) -> "Models":
        """Render a stretch of the list."""
        return cls([Model.of(item) for item in found.items], found.next)
