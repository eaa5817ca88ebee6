"""Is the server well? What a load balancer and an administrator may ask."""

import asyncio
import logging
import time
from typing import Final

import msgspec

from palaver.domain.cursors import LAST_ID
from palaver.domain.users import Actor
from palaver.services.registrations import ADMINISTRATOR
from palaver.storage.database import Database

PATIENCE_SECONDS: Final = 5.0
"""After so long without an answer a database counts as away."""

log = logging.getLogger(__name__)


class DatabaseHealth(msgspec.Struct, frozen=True):
    """Whether the database answers, which one it is, and how long one read took."""

    ok: bool
    dialect: str
    latency_ms: float


class Installation(msgspec.Struct, frozen=True):
    """How far setting up has come."""

    has_accounts: bool
    has_administrator: bool  # or had one: from then on no token makes one


class HealthService:
    """Looks at what the server stands on."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def database(self, actor: Actor) -> DatabaseHealth:  # noqa: ARG002  # anybody may ask
        """Read one row, and say how that went within `PATIENCE_SECONDS`; never raises."""
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._ping()
            ok = True
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the answer
            log.warning("the database does not answer: %s", error)
            ok = False
        latency_ms = round((time.perf_counter() - begun) * 1000, 3)
        return DatabaseHealth(ok=ok, dialect=self.db.engine.value, latency_ms=latency_ms)

    async def _ping(self) -> None:
        async with self.db.read() as tx:
            await tx.facts.ping()

    async def installation(self, actor: Actor) -> Installation:
        """Say how far setting up has come. For administrators and commands; needs no secrets."""
        actor.require_admin()
        async with self.db.read() as tx:
            return Installation(
                has_accounts=bool(await tx.users.list(before=LAST_ID, limit=1)),
                has_administrator=await tx.facts.find(ADMINISTRATOR) is not None,
            )
