"""Ends the streams of whoever was signed out, or disabled, while reading."""

from collections.abc import Awaitable, Callable
from typing import Final

from palaver.domain.users import SYSTEM
from palaver.services.readers import ReaderService

EVERY_SECONDS: Final = 0.5


def end_readers(readers: ReaderService) -> Callable[[], Awaitable[float]]:
    """Return the step of a loop; it asks the database only while somebody reads."""

    async def step() -> float:
        await readers.end_revoked(SYSTEM)
        return EVERY_SECONDS

    return step
