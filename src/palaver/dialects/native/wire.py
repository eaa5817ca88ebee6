"""The shapes of the `native` contract, in its document's words and its document's order."""

from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from palaver.domain import search
from palaver.domain.search import SearchKind
from palaver.kit.clock import iso_text
from palaver.kit.words import QUERY_MAX_LENGTH
from palaver.web.bodies import INT64_MAX

Limit: TypeAlias = Annotated[int, Meta(ge=1, le=INT64_MAX)]
"""How many items at most; each list has a bound of its own, and more counts as that."""

# The service holds the rule; this tells of it.
Search: TypeAlias = Annotated[
    str,
    Meta(extra_json_schema={"minLength": 1, "maxLength": QUERY_MAX_LENGTH, "pattern": r"\S"}),
]
Id: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Time: TypeAlias = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


def render_time(at: int) -> Time:
    """Return an instant as this contract writes it: `2026-01-15T10:30:00.000000Z`."""
    return f"{iso_text(at)}Z"


class Error(Struct):
    """Every failure; `fields` has a sentence for every wrong field of an input."""

    code: str
    message: str
    request_id: str
    fields: dict[str, str] | UnsetType = UNSET


# Search


class Excerpt(Struct):
    """A piece of a text; highlights are pairs of offsets in code points, end exclusive."""

    text: str
    highlights: list[tuple[int, int]]


class SearchHit(Struct):
    """A title or a message that holds what was looked for."""

    kind: Literal["title", "message"]
    conversation_id: Id
    conversation_title: str | None
    message_id: Id | None
    excerpt: Excerpt
    created_at: Time

    @classmethod
    def of(cls, hit: search.SearchHit) -> "SearchHit":
        """Render a hit."""
        return cls(
            "title" if hit.kind is SearchKind.TITLE else "message",
            hit.conversation_uuid,
            hit.title,
            hit.message_uuid,
            Excerpt(hit.excerpt.text, list(hit.excerpt.highlights)),
            render_time(hit.created_at),
        )


class SearchPage(Struct):
    """Hits, the best first; `next` is the `cursor` of those that follow, null at the end."""

    items: list[SearchHit]
    next: str | None

    @classmethod
    def of(cls, page: search.SearchPage) -> "SearchPage":
        """Render a page."""
        return cls([SearchHit.of(hit) for hit in page.items], page.next)
