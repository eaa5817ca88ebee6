"""Keeps the search index up with what is written. Decision record: docs/decisions, "Search"."""

from collections.abc import Awaitable, Callable

from palaver.domain.users import SYSTEM
from palaver.services.search import SearchService

BUSY_SECONDS = 0.2
IDLE_SECONDS = 1.0


def fold_search(search: SearchService) -> Callable[[], Awaitable[float]]:
    """Return the step of a loop. A search folds its user's own rows first, so nobody waits."""

    async def step() -> float:
        return BUSY_SECONDS if await search.fold(SYSTEM) else IDLE_SECONDS

    return step
