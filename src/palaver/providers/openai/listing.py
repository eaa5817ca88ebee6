"""Which models an OpenAI-compatible server lists, and what it tells about each of them."""

import math
import re
from decimal import Decimal
from typing import Any, Final

import msgspec

from palaver.domain.models import MOST_USD, ListedModel, ModelProfile, ModelType
from palaver.domain.profiles import is_chat_model, profile_by_name

MAX_NAME_LENGTH: Final = 200
MILLION: Final = 1_000_000


class Architecture(msgspec.Struct, gc=False):
    """OpenRouter's word for what goes in and what comes out, such as "text" and "image"."""

    input_modalities: list[str] | None = None
    output_modalities: list[str] | None = None


class TopProvider(msgspec.Struct, gc=False):
    """What OpenRouter's first choice of a host can do."""

    max_completion_tokens: int | None = None


class Pricing(msgspec.Struct, gc=False):
    """OpenRouter's prices of one token, in USD; "-1" where they depend on who answers."""

    prompt: Decimal | None = None
    completion: Decimal | None = None


class Meta(msgspec.Struct, gc=False):
    """llama.cpp's facts: `n_ctx` is what it was started with, the other what the model can."""

    n_ctx: int | None = None
    n_ctx_train: int | None = None


class Entry(msgspec.Struct, gc=False):
    """One model: OpenAI's `id`, and what others tell beside it."""

    id: str
    name: str | None = None
    context_length: int | None = None  # OpenRouter, Together
    max_model_len: int | None = None  # vLLM
    context_window: int | None = None  # Groq
    max_context_length: int | None = None  # LM Studio, Mistral
    loaded_context_length: int | None = None  # LM Studio
    max_completion_tokens: int | None = None  # Groq
    type: str | None = None  # LM Studio: "llm", "vlm", "embeddings"; Together: "chat", "image" …
    architecture: Architecture | None = None
    supported_parameters: list[str] | None = None
    top_provider: TopProvider | None = None
    pricing: Any = None
    meta: Meta | None = None
    capabilities: Any = None  # LM Studio: a list; Mistral: an object of booleans


class _Listing(msgspec.Struct):
    data: list[msgspec.Raw] | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Listing | list[msgspec.Raw]).decode
_decode_entry = msgspec.json.Decoder(Entry).decode


def parse(body: bytes, *, is_openrouter: bool = False) -> tuple[list[ListedModel], object]:
    """Return the models in the provider's order, and the error that stands in their place.

    OpenRouter itself searches the web, whatever the model, and has prices. An entry that cannot be
    read is passed over. Raises `ValueError`, `RecursionError`.
    """
    listing = _decode(body)
    if isinstance(listing, _Listing):
        if listing.error or listing.data is None:
            return [], listing.error or "no list of models came"
        listing = listing.data
    models: dict[str, ListedModel] = {}
    for raw in listing:
        try:
            entry = _decode_entry(raw)
        except (ValueError, RecursionError):
            continue
        if _is_named(entry) and entry.type not in _OTHER_TYPES and is_chat_model(entry.id):
            label = entry.name if entry.name and entry.name.isprintable() else entry.id
            models[entry.id] = ListedModel(
                entry.id, label[:MAX_NAME_LENGTH], _profile(entry, is_openrouter=is_openrouter)
            )
    return list(models.values()), None


_SEARCHES_HERE: Final = re.compile(r"gpt-|sonar")
_OTHER_TYPES: Final = frozenset({"embeddings", "embedding", "rerank", "moderation", "audio"})


def _is_named(entry: Entry) -> bool:
    return 0 < len(entry.id) <= MAX_NAME_LENGTH and entry.id.isprintable()


def _profile(entry: Entry, *, is_openrouter: bool) -> ModelProfile:
    """Return the provider's word, and the name's where it says nothing."""
    by_name = profile_by_name(entry.id)
    told = _told(entry)
    type_ = _type(entry, by_name)
    pricing = _pricing(entry) if is_openrouter else Pricing()
    # Claude and Gemini search in their own protocols; in this one, only who is made for it.
    searches = is_openrouter or (by_name.searches and _SEARCHES_HERE.search(entry.id) is not None)
    return ModelProfile(
        context_tokens=_context_tokens(entry) or by_name.context_tokens,
        max_answer_tokens=_max_answer_tokens(entry) or by_name.max_answer_tokens,
        sees=told.get("sees", by_name.sees),
        thinks=told.get("thinks", by_name.thinks),
        has_tools=told.get("has_tools", by_name.has_tools),
        has_json_mode=told.get("has_json_mode", by_name.has_json_mode),
        searches=searches and type_ is ModelType.TEXT,
        continues=by_name.continues,
        prompt_price=_price(pricing.prompt),
        completion_price=_price(pricing.completion),
        type=type_,
    )


def _context_tokens(entry: Entry) -> int | None:
    meta = entry.meta or Meta()
    told = (
        entry.loaded_context_length,
        entry.context_length,
        entry.max_model_len,
        entry.context_window,
        entry.max_context_length,
        meta.n_ctx,
        meta.n_ctx_train,
    )
    return next((tokens for tokens in told if tokens and tokens > 0), None)


def _max_answer_tokens(entry: Entry) -> int | None:
    top = entry.top_provider.max_completion_tokens if entry.top_provider else None
    return next((n for n in (top, entry.max_completion_tokens) if n and n > 0), None)


def _pricing(entry: Entry) -> Pricing:
    """Return its prices; those of another shape are none."""
    try:
        return msgspec.convert(entry.pricing, Pricing, strict=False)
    except msgspec.ValidationError:
        return Pricing()


def _price(usd: Decimal | None) -> int | None:
    """Return micro-USD for a million tokens, rounded up; None for what is no price."""
    if usd is None or not usd.is_finite() or not 0 <= usd * MILLION <= MOST_USD:
        return None
    return math.ceil(usd * MILLION * MILLION)


def _told(entry: Entry) -> dict[str, bool]:
    told: dict[str, bool] = {}
    if entry.type is not None and entry.type in ("llm", "vlm"):
        told["sees"] = entry.type == "vlm"
    if entry.architecture is not None and entry.architecture.input_modalities is not None:
        told["sees"] = "image" in entry.architecture.input_modalities
    if (parameters := entry.supported_parameters) is not None:
        told["thinks"] = "reasoning" in parameters or "include_reasoning" in parameters
        told["has_tools"] = "tools" in parameters
        told["has_json_mode"] = "response_format" in parameters
    if isinstance(entry.capabilities, dict):  # Mistral
        told["sees"] = entry.capabilities.get("vision") is True
        told["has_tools"] = entry.capabilities.get("function_calling") is True
    elif isinstance(entry.capabilities, list) and "tool_use" in entry.capabilities:  # LM Studio
        told["has_tools"] = True
    return told


def _type(entry: Entry, by_name: ModelProfile) -> ModelType:
    if entry.architecture is not None and entry.architecture.output_modalities is not None:
        made = entry.architecture.output_modalities
        # Some that make pictures say a word beside; some that talk make a picture now and then.
        makes_images = "image" in made and ("text" not in made or by_name.type is ModelType.IMAGE)
        return ModelType.IMAGE if makes_images else ModelType.TEXT
    return ModelType.IMAGE if entry.type == "image" else by_name.type
