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


def parse_cursor(cursor: str | None, *, first: int) -> int:
    """Return the id after which a stretch begins, `first` without one. Raises `InvalidInput`."""
    if cursor is None:
        return first
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        message = "This is not a cursor of this list."
        raise InvalidInput.of("cursor", Fault.WRONG_FORMAT, message, place="query")
    return int(cursor)
