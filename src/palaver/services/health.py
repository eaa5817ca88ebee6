"""Is the server well? What a load balancer and an administrator may ask."""

import time

import msgspec

from palaver.domain.users import Actor
from palaver.storage.database import Database, DatabaseError


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
        """Read one row, and say how that went; never raises."""
        begun = time.perf_counter()
        try:
            async with self.db.read() as tx:
                await tx.facts.ping()
            ok = True
        except (DatabaseError, OSError):
            ok = False
        latency_ms = round((time.perf_counter() - begun) * 1000, 3)
        return DatabaseHealth(ok=ok, dialect=self.db.engine.value, latency_ms=latency_ms)
