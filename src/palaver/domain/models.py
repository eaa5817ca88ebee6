"""Models on offer: rows of the registry, named `provider/name`, and what is known of each."""

import enum
from typing import Any, Final

import msgspec
from msgspec import UNSET

from palaver.domain.checks import Change, Checks, Decimal, DecimalOrNone, Flag, Text, TextOrNone
from palaver.domain.errors import Fault

NAME_MAX_LENGTH: Final = 300
DESCRIPTION_MAX_LENGTH: Final = 10_000
MOST_USD: Final = 1_000_000
"""The highest price of a million tokens: beyond it somebody mistook the unit."""
MOST_TIMES: Final = 1_000


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
    searches: bool = False  # its provider has a search of the web for it
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


class ModelChange(Change, frozen=True, kw_only=True):
    """What an administrator says of a model; UNSET = stays as it is.

    Decimal numbers are text, or whole. Prices are for a million tokens, None = none.
    """

    label: Text = UNSET
    description: Text = UNSET
    type: TextOrNone = UNSET  # None: what its provider says
    is_active: Flag = UNSET
    is_free: Flag = UNSET
    multiplier: Decimal = UNSET
    prompt_price_usd: DecimalOrNone = UNSET
    completion_price_usd: DecimalOrNone = UNSET
    open_to_all: Flag = UNSET

    def columns(self) -> dict[str, Any]:
        """Return the fields of the model that are different afterwards.

        Raises `InvalidInput`, with every wrong one.
        """
        checks = Checks()
        columns = dict(_column(checks, *item) for item in self.given.items())
        checks.end()
        return columns


def _column(checks: Checks, field: str, given: Any) -> tuple[str, Any]:
    match field:
        case "label":
            return field, checks.line(field, given, max_length=NAME_MAX_LENGTH)
        case "description":
            return field, checks.text(field, given, max_length=DESCRIPTION_MAX_LENGTH)
        case "type":
            if given is not None:
                checks.one_of(field, given, list(ModelType))
            return field, ModelType(given) if given in list(ModelType) else None
        case "multiplier":
            percent = checks.decimal(field, given, places=2, most=MOST_TIMES, least=1)
            return "multiplier_percent", percent
        case "prompt_price_usd":
            return "prompt_price", _price(checks, field, given)
        case "completion_price_usd":
            return "completion_price", _price(checks, field, given)
        case _:
            return field, int(given)


def _price(checks: Checks, field: str, given: str | int | None) -> int | None:
    return None if given is None else checks.decimal(field, given, places=6, most=MOST_USD)


def parse_model_name(model_id: str, provider_id: str | None) -> tuple[str, str]:
    """Return provider and upstream name of a whole `provider/name`. Raises `InvalidInput`.

    A provider that is given beside it must be the same.
    """
    checks = Checks()
    name = checks.line("model_id", model_id, max_length=NAME_MAX_LENGTH)
    provider, _, upstream = name.partition("/")
    if not provider or not upstream:
        checks.blame("model_id", Fault.WRONG_FORMAT, "Write it as provider/name.")
    elif provider_id is not None and provider_id != provider:
        message = f"This model is one of {provider}: model_id begins with its provider."
        checks.blame("provider_id", Fault.NOT_ALLOWED, message)
    checks.end()
    return provider, upstream


def model_name(provider_id: str, upstream_name: str) -> str:
    """Return the registry's name of a provider's model."""
    return f"{provider_id}/{upstream_name}"
