"""Lists in numbered pages, for contracts that count."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from palaver.domain.errors import NotFound

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list that has `total` items, `size` on each page but the last."""

    items: Sequence[T]
    total: int
    number: int  # from 1 on
    size: int

    @property
    def has_next(self) -> bool:
        """Tell whether there is more behind it."""
        return self.number * self.size < self.total

    @property
    def has_previous(self) -> bool:
        """Tell whether something comes before it."""
        return self.number > 1


def page_number(wanted: int | None, *, total: int, size: int) -> int:
    """Return which page is meant, None being the last one; an empty list has one page.

    Raises `NotFound`.
    """
    last = max(1, -(-total // size))
    number = last if wanted is None else wanted
    if not 1 <= number <= last:
        raise NotFound("page")
    return number
