"""What a Claude model takes: by the word of its listing, else by its generation.

Facts are from the pages "Thinking" and "Effort" of Anthropic's documentation.
"""

import re
from typing import Final

import msgspec

_GENERATION: Final = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_ADAPTIVE_SINCE: Final = (4, 6)
_NO_SAMPLING_SINCE: Final = (4, 7)
_THINKS_UNASKED_SINCE: Final = (5, 0)


class Facts(msgspec.Struct, frozen=True):
    """What one model takes. What it refuses all the same is learned, see `Habits`."""

    ways_to_think: tuple[str, ...]  # of "adaptive" and "enabled", the preferred one first
    thinks_unasked: bool = False  # so it has to be told where it should not
    can_be_stopped: bool = True  # from thinking, by "disabled"
    takes_sampling: bool = True  # temperature and top_p
    max_answer_tokens: int | None = None


def generation_of(name: str) -> tuple[int, int] | None:
    """Return a model's generation, such as (4, 5) for `claude-sonnet-4-5-20250929`."""
    found = _GENERATION.search(name)
    return (int(found[1]), int(found[2] or 0)) if found else None


def facts_by_name(name: str) -> Facts:
    """Return what a model takes as far as its name tells; what is unknown counts as old."""
    generation = generation_of(name) or (0, 0)
    return Facts(
        ways_to_think=("adaptive", "enabled")
        if generation >= _ADAPTIVE_SINCE
        else ("enabled", "adaptive"),
        thinks_unasked=generation >= _THINKS_UNASKED_SINCE or "claude-mythos" in name,
        takes_sampling=generation < _NO_SAMPLING_SINCE,
    )
