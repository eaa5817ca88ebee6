"""Keeps the idempotency keys of requests that are under way theirs."""

from collections.abc import Awaitable, Callable

from palaver.domain.users import SYSTEM
from palaver.services.idempotency import IdempotencyService

RENEW_SECONDS = 20.0


def renew_keys(idempotency: IdempotencyService) -> Callable[[], Awaitable[float]]:
    """Return the step of a loop."""

    async def step() -> float:
        await idempotency.renew(SYSTEM)
        return RENEW_SECONDS

    return step
