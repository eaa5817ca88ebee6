"""Tells who follows a conversation that its next run has begun on another worker."""

from collections.abc import Awaitable, Callable

from palaver.domain.users import SYSTEM
from palaver.services.live import LiveService

LOOK_SECONDS = 0.5


def wake_followers(live: LiveService) -> Callable[[], Awaitable[float]]:
    """Return the step of a loop; it asks the database only while somebody waits."""

    async def step() -> float:
        await live.look(SYSTEM)
        return LOOK_SECONDS

    return step
