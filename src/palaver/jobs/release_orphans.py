"""Gives back what is held for calls that died: no phantom takes room from anybody for long."""

from collections.abc import Awaitable, Callable
from typing import Final

from palaver.domain.users import SYSTEM
from palaver.services.ledger import LedgerService

EVERY_SECONDS: Final = 10.0


def release_orphans(ledger: LedgerService) -> Callable[[], Awaitable[float]]:
    """Return the loop's step."""

    async def step() -> float:
        await ledger.release_orphans(SYSTEM)
        return EVERY_SECONDS

    return step
