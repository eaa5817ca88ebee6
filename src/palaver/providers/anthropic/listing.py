"""Which models Anthropic lists, and what it tells about each of them.

Shapes: https://platform.claude.com/docs/en/api/models/list.
"""

from typing import Final

import msgspec

from palaver.domain.models import ListedModel, ModelProfile
from palaver.domain.profiles import profile_by_name
from palaver.providers.anthropic.facts import Facts, facts_by_name

MAX_NAME_LENGTH: Final = 200


class Support(msgspec.Struct, gc=False):
    """Whether a model can do something."""

    supported: bool = False


class ThinkingTypes(msgspec.Struct, gc=False):
    """Which values of `thinking.type` a model takes."""

    adaptive: Support | None = None
    disabled: Support | None = None
    enabled: Support | None = None


class Thinking(msgspec.Struct, gc=False):
    """Whether a model thinks, and how it is told to."""

    supported: bool = False
    types: ThinkingTypes | None = None


class ServerTools(msgspec.Struct, gc=False):
    """The tools that run at Anthropic."""

    web_search: Support | None = None


class Abilities(msgspec.Struct, gc=False):
    """What a model can do."""

    image_input: Support | None = None
    server_tools: ServerTools | None = None
    structured_outputs: Support | None = None
    thinking: Thinking | None = None


class Entry(msgspec.Struct, gc=False):
    """One model."""

    id: str
    display_name: str | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    capabilities: Abilities | None = None


class Page(msgspec.Struct):
    """Some of the models; `last_id` is where the next ones begin, if there `has_more`."""

    data: list[msgspec.Raw]
    has_more: bool = False
    last_id: str | None = None


class Listed(msgspec.Struct, frozen=True):
    """A model for the registry, and what its requests have to heed."""

    model: ListedModel
    facts: Facts


parse_page: Final = msgspec.json.Decoder(Page).decode
_decode_entry: Final = msgspec.json.Decoder(Entry).decode


def parse_entries(page: Page) -> list[Listed]:
    """Return the models of a page in its order; an entry that cannot be read is passed over."""
    listed = []
    for raw in page.data:
        try:
            entry = _decode_entry(raw)
        except (ValueError, RecursionError):
            continue
        if 0 < len(entry.id) <= MAX_NAME_LENGTH and entry.id.isprintable():
            name = entry.display_name
            label = name if name and name.isprintable() else entry.id
            model = ListedModel(entry.id, label[:MAX_NAME_LENGTH], _profile(entry))
            listed.append(Listed(model, _facts(entry)))
    return listed


def _profile(entry: Entry) -> ModelProfile:
    """Return the listing's word, and the name's where it says nothing."""
    by_name = profile_by_name(entry.id)
    can = entry.capabilities or Abilities()
    tools = can.server_tools or ServerTools()
    return ModelProfile(
        context_tokens=_positive(entry.max_input_tokens) or by_name.context_tokens,
        max_answer_tokens=_positive(entry.max_tokens) or by_name.max_answer_tokens,
        sees=_told(can.image_input, by_name.sees),
        thinks=by_name.thinks if can.thinking is None else can.thinking.supported,
        has_tools=by_name.has_tools,
        has_json_mode=_told(can.structured_outputs, by_name.has_json_mode),
        searches=_told(tools.web_search, by_name.searches),
        continues=by_name.continues,
    )


def _facts(entry: Entry) -> Facts:
    by_name = facts_by_name(entry.id)
    thinking = entry.capabilities.thinking if entry.capabilities else None
    types = thinking.types if thinking else None
    facts = msgspec.structs.replace(by_name, max_answer_tokens=_positive(entry.max_tokens))
    if types is None:
        return facts
    ways = {"adaptive": _told(types.adaptive, False), "enabled": _told(types.enabled, False)}
    return msgspec.structs.replace(
        facts,
        ways_to_think=tuple(way for way, is_taken in ways.items() if is_taken),
        can_be_stopped=_told(types.disabled, True),
    )


def _told(support: Support | None, otherwise: bool) -> bool:  # noqa: FBT001
    return otherwise if support is None else support.supported


def _positive(number: int | None) -> int | None:
    return number if number and number > 0 else None
