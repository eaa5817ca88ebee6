"""Search: what can be found, and how a hit is shown."""

import enum
from itertools import islice
from typing import Final

import msgspec

from palaver.kit.words import Query

HITS_MAX: Final = 200
PAGE_MAX: Final = 50
EXCERPT_LENGTH: Final = 200

_LEAD: Final = 60  # what an excerpt shows before its first highlight, in code points
_SLACK: Final = 20  # how far a cut may move to fall between two words
_SPANS_MAX: Final = 200
_LINE_BREAKS: Final = str.maketrans("\r\n\t\v\f\x85\u2028\u2029", " " * 8)


class SearchKind(enum.IntEnum):
    """What was indexed, and which table's id its `ref` is. Numbers never change their meaning."""

    TITLE = 1  # of a conversation
    MESSAGE = 2
    MEMORY = 3
    CHUNK = 4


class Excerpt(msgspec.Struct, frozen=True, gc=False):
    """A piece of a text around what was found; highlights in code points, end exclusive."""

    text: str
    highlights: tuple[tuple[int, int], ...]


class SearchHit(msgspec.Struct, frozen=True, gc=False):
    """A title or a message that holds what was looked for."""

    kind: SearchKind
    conversation_uuid: str
    title: str | None  # of the conversation
    message_uuid: str | None  # None for a title
    excerpt: Excerpt
    created_at: int  # of the message; for a title, of the conversation


class SearchPage(msgspec.Struct, frozen=True):
    """Hits, best first, and the cursor of those that follow."""

    items: list[SearchHit]
    next: str | None


def excerpt(text: str, query: Query, *, length: int = EXCERPT_LENGTH) -> Excerpt:
    """Cut about `length` code points out of a text, where most of the query's words meet.

    Line breaks become spaces; an ellipsis stands where something was cut off.
    """
    spans = list(islice(query.spans(text), _SPANS_MAX))
    start, end = _window(text, spans, length)
    before = "…" if start else ""
    after = "…" if end < len(text) else ""
    shift = len(before) - start
    return Excerpt(
        before + text[start:end].translate(_LINE_BREAKS) + after,
        tuple(
            (first + shift, last + shift) for first, last in spans if start <= first < last <= end
        ),
    )


def _window(text: str, spans: list[tuple[int, int]], length: int) -> tuple[int, int]:
    """Return where the excerpt begins and ends: between words, as far as that is possible."""
    if len(text) <= length:
        return 0, len(text)
    first = _densest(text, spans, length - _LEAD)
    start = max(0, min(first - _LEAD, len(text) - length))
    end = start + length
    if start and (gap := text.find(" ", start, min(start + _SLACK, first))) >= 0:
        start = gap + 1
    if end < len(text) and (gap := text.rfind(" ", end - _SLACK, end)) > first:
        end = gap
    return start, end


def _densest(text: str, spans: list[tuple[int, int]], length: int) -> int:
    """Return the earliest start of a span from which on most different words follow."""
    best, most = 0, 0
    for number, (start, _) in enumerate(spans):
        seen = {
            text[first:last].casefold() for first, last in spans[number:] if last <= start + length
        }
        if len(seen) > most:
            best, most = start, len(seen)
    return best
