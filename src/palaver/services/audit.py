"""The audit log, as administrators read it; entries are written by what they tell about."""

from typing import Final

from palaver.domain.users import Actor, AuditEntry
from palaver.kit.text import fold
from palaver.storage.database import Database

LIST_LIMIT: Final = 1000


class AuditService:
    """Who did what, to what, from where."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def list(
        self,
        actor: Actor,
        *,
        q: str = "",
        action: str = "",
        since: int = 0,
        limit: int = LIST_LIMIT,
    ) -> list[AuditEntry]:
        """Return entries since an instant, newest first, at most 1000. For administrators.

        `q` is a substring of action, target, address or user agent, without regard to case;
        `action` is a whole one.
        """
        actor.require_admin()
        async with self.db.read() as tx:
            return await tx.audit.list(
                key=fold(q), action=action, since=since, limit=min(limit, LIST_LIMIT)
            )

    async def purge(self, actor: Actor, *, before: int) -> int:
        """Forget entries before an instant; return how many. For jobs and administrators."""
        actor.require_admin()
        async with self.db.transaction() as tx:
            return await tx.audit.purge(before=before)
