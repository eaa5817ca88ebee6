"""A service's list, gone through to its end."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from palaver.domain.cursors import LIMIT_MAX, Stretch
from palaver.domain.users import SYSTEM

T = TypeVar("T")


async def every(listing: Callable[..., Awaitable[Stretch[T]]]) -> AsyncIterator[T]:
    """Give every item, in the list's order; `listing` takes an actor, `cursor` and `limit`."""
    cursor = None
    while True:
        stretch = await listing(SYSTEM, cursor=cursor, limit=LIMIT_MAX)
        for item in stretch.items:
            yield item
        if (cursor := stretch.next) is None:
            return
