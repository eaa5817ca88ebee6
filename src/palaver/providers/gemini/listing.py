"""Which models Gemini lists, and what it tells about each of them.

Shapes: https://ai.google.dev/api/models.
"""

import re
from typing import Any, Final

import msgspec

from palaver.domain.models import ListedModel, ModelProfile, ModelType
from palaver.domain.profiles import is_chat_model, profile_by_name

MAX_NAME_LENGTH: Final = 200
NAME: Final = re.compile(r"(tunedModels/)?[A-Za-z0-9][\w.-]*")
"""A name that may stand in a path."""
_MAKES_ELSE: Final = re.compile(r"veo-|lyria|gemini-.*-live")
_CONTINUES: Final = re.compile(r"gemini-(2\.|3-|3\.1-)")
"""Later models refuse a request that ends with a beginning of their answer."""


class Entry(msgspec.Struct, gc=False, rename="camel"):
    """One model."""

    name: str
    display_name: str | None = None
    input_token_limit: int | None = None
    output_token_limit: int | None = None
    supported_generation_methods: list[str] | None = None
    thinking: bool | None = None


class Page(msgspec.Struct, gc=False, rename="camel"):
    """A part of the list, and how to ask for the next one."""

    models: list[msgspec.Raw] | None = None
    next_page_token: str | None = None
    error: Any = None


_decode_page = msgspec.json.Decoder(Page).decode
_decode_entry = msgspec.json.Decoder(Entry).decode


def parse(body: bytes) -> tuple[list[ListedModel], Page]:
    """Return the models of a page in Google's order; an entry that cannot be read is passed over.

    Raises `ValueError`, `RecursionError`.
    """
    page = _decode_page(body)
    models: dict[str, ListedModel] = {}
    for raw in page.models or ():
        try:
            entry = _decode_entry(raw)
        except (ValueError, RecursionError):
            continue
        name = entry.name.removeprefix("models/")
        if _is_offered(name, entry):
            label = entry.display_name
            label = label if label and label.isprintable() else name
            models[name] = ListedModel(name, label[:MAX_NAME_LENGTH], _profile(name, entry))
    return list(models.values()), page


def makes_images(name: str) -> bool:
    """Tell whether a model's answers are pictures."""
    return profile_by_name(name).type is ModelType.IMAGE


def _is_offered(name: str, entry: Entry) -> bool:
    return (
        len(name) <= MAX_NAME_LENGTH
        and NAME.fullmatch(name) is not None
        and "generateContent" in (entry.supported_generation_methods or ())
        and not _MAKES_ELSE.match(name)
        and is_chat_model(name)
    )


def _profile(name: str, entry: Entry) -> ModelProfile:
    """Return Google's word, and the name's where it says nothing."""
    by_name = profile_by_name(name)
    if by_name.type is ModelType.IMAGE:
        return by_name
    return ModelProfile(
        context_tokens=_limit(entry.input_token_limit) or by_name.context_tokens,
        max_answer_tokens=_limit(entry.output_token_limit) or by_name.max_answer_tokens,
        sees=by_name.sees,
        thinks=by_name.thinks if entry.thinking is None else entry.thinking,
        has_tools=by_name.has_tools,
        has_json_mode=name.startswith("gemini-"),
        searches=by_name.searches,
        continues=_CONTINUES.match(name) is not None,
    )


def _limit(tokens: int | None) -> int | None:
    return tokens if tokens and tokens > 0 else None
