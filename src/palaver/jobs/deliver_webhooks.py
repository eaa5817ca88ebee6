"""Delivers webhooks. Decision record: docs/decisions, "An endpoint is served by one worker"."""

from collections.abc import Awaitable, Callable
from typing import Final

from palaver.domain.users import SYSTEM
from palaver.services.deliveries import DeliveryService

LOOK_SECONDS: Final = 0.25
"""How soon what happened goes out, at most; where nothing waits, it is one look in an index."""


def deliver_webhooks(deliveries: DeliveryService) -> Callable[[], Awaitable[float]]:
    """Return the step of a loop."""

    async def step() -> float:
        await deliveries.serve_some(SYSTEM)
        return LOOK_SECONDS

    return step
