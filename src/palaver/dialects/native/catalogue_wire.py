"""The shapes of the chapters about chatbots and models, in their document's order."""

from typing import Annotated, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from palaver.dialects.native.admin_wire import Micros, Name, Text, in_domain_words
from palaver.dialects.native.wire import Time, render_time
from palaver.domain import chatbots, models
from palaver.domain.checks import render_decimal
from palaver.domain.cursors import Stretch

# The domain holds these rules; this tells of them.
ModelName: TypeAlias = Annotated[
    str,
    Meta(extra_json_schema={"minLength": 1, "maxLength": models.NAME_MAX_LENGTH, "pattern": r"\S"}),
]
TokenPrice: TypeAlias = (
    Micros | Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": models.MOST_USD})]
)
Times: TypeAlias = (
    Annotated[str, Meta(extra_json_schema={"pattern": r"^[0-9]{1,15}(\.[0-9]{1,2})?$"})]
    | Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": models.MOST_TIMES})]
)


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
        return models.ModelChange(**in_domain_words(self, models.ModelChange))


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
