"""Is the server well? What a load balancer and an administrator may ask."""

import asyncio
import logging
import time
from typing import Final

import msgspec

from palaver.domain.users import Actor
from palaver.storage.database import Database

PATIENCE_SECONDS: Final = 5.0
"""After so long without an answer a database counts as away."""

log = logging.getLogger(__name__)


class DatabaseHealth(msgspec.Struct, frozen=True):
    """Whether the database answers, which one it is, and how long one read took."""

    ok: bool
    dialect: str
    latency_ms: float


class HealthService:
    """Looks at what the server stands on."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def database(self, actor: Actor) -> DatabaseHealth:  # noqa: ARG002  # anybody may ask
        """Read one row, and say how that went within `PATIENCE_SECONDS`; never raises."""
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self.db.read() as tx:
                await tx.facts.ping()
            ok = True
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the answer
            log.warning("the database does not answer: %s", error)
            ok = False
        latency_ms = round((time.perf_counter() - begun) * 1000, 3)
        return DatabaseHealth(ok=ok, dialect=self.db.engine.value, latency_ms=latency_ms)
