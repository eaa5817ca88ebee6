"""Models on offer: rows of the registry, named `provider/name`, and what is known of each."""

import enum

import msgspec


class ModelType(enum.StrEnum):
    """What a model makes."""

    TEXT = "text"
    IMAGE = "image"


class ModelProfile(msgspec.Struct, frozen=True, omit_defaults=True):
    """Facts about a model, by its provider's word, else by its name; None = not known."""

    context_tokens: int | None = None
    max_answer_tokens: int | None = None
    sees: bool = False  # takes images
    thinks: bool = False
    has_tools: bool = False
    has_json_mode: bool = False
    continues: bool = False  # goes on from a given beginning of its answer
    prompt_price: int | None = None  # micro-USD per million tokens, by its provider's list
    completion_price: int | None = None
    type: ModelType = ModelType.TEXT


class ListedModel(msgspec.Struct, frozen=True):
    """A model as its provider lists it; `name` is the provider's own id for it."""

    name: str
    label: str
    profile: ModelProfile = ModelProfile()


class Model(msgspec.Struct, frozen=True):
    """A row of the registry."""

    id: int
    name: str  # `provider/name`, cut at the first slash
    label: str
    profile: ModelProfile
    is_active: int
    listed_at: int | None  # when its provider last listed it
    created_at: int
    description: str = ""
    type: ModelType | None = None  # an administrator's word for it, over the profile's
    is_free: int = 0  # counts only against a plan's limits for free models
    multiplier_percent: int = 100  # by which its tokens count against a plan's limits
    open_to_all: int = 1  # else only to the plans that it is linked to
    prompt_price: int | None = None  # micro-USD per million tokens, an administrator's word
    completion_price: int | None = None

    @property
    def model_type(self) -> ModelType:
        """Return what it makes."""
        return self.type or self.profile.type

    @property
    def provider_id(self) -> str:
        """Return the part before the first slash."""
        return self.name.partition("/")[0]

    @property
    def upstream_name(self) -> str:
        """Return the provider's own id: the part after the first slash."""
        return self.name.partition("/")[2]


def model_name(provider_id: str, upstream_name: str) -> str:
    """Return the registry's name of a provider's model."""
    return f"{provider_id}/{upstream_name}"
