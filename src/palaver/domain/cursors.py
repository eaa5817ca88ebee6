"""Lists that are read on by a cursor: the id of the last item seen."""

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from palaver.domain.errors import Fault, InvalidInput

T = TypeVar("T")

LIMIT: Final = 100
LIMIT_MAX: Final = 1000
LAST_ID: Final = 2**63 - 1
"""No id is above it: where a list begins that is newest first."""


class Stretch(msgspec.Struct, Generic[T], frozen=True):
    """Some items of a list, and the cursor of those that follow; None at the end."""

    items: Sequence[T]
    next: str | None

    @classmethod
    def of(cls, found: Sequence[T], *, limit: int, id: Callable[[T], int]) -> "Stretch[T]":
        """Cut off the one more that was asked for to learn whether anything follows."""
        if len(found) <= limit:
            return cls(found, None)
        return cls(found[:limit], str(id(found[limit - 1])))

    @classmethod
    def by_place(
        cls, found: Sequence[T], *, limit: int, place: Callable[[T], tuple[int, int]]
    ) -> "Stretch[T]":
        """Cut off as `of` does, where a list is in the order of an instant and an id."""
        if len(found) <= limit:
            return cls(found, None)
        at, id = place(found[limit - 1])
        return cls(found[:limit], f"{at}.{id}")


def parse_cursor(cursor: str | None, *, first: int) -> int:
    """Return the id after which a stretch begins, `first` without one. Raises `InvalidInput`."""
    if cursor is None:
        return first
    if not _is_number(cursor):
        raise _no_cursor()
    return int(cursor)


def parse_place(cursor: str | None) -> tuple[int, int]:
    """Return behind which instant and id a stretch begins that is newest first.

    Without a cursor it begins at the beginning. Raises `InvalidInput`.
    """
    if cursor is None:
        return LAST_ID, LAST_ID
    at, _, id = cursor.partition(".")
    if not (_is_number(at) and _is_number(id)):
        raise _no_cursor()
    return int(at), int(id)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _no_cursor() -> InvalidInput:
    message = "This is not a cursor of this list."
    return InvalidInput.of("cursor", Fault.WRONG_FORMAT, message, place="query")
