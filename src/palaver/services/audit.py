"""The audit log, as administrators read it; entries are written by what they tell about."""

from collections.abc import Iterable
from typing import Final

from palaver.domain.cursors import LIMIT, LIMIT_MAX, Stretch, parse_place
from palaver.domain.users import Actor, AuditAction, AuditEntry
from palaver.kit.text import fold
from palaver.storage.database import Database
from palaver.storage.tx import Tx

LIST_LIMIT: Final = 1000


async def note(
    tx: Tx,
    actor: Actor,
    action: AuditAction,
    target: str,
    *,
    details: Iterable[str] = (),
    at: int,
) -> None:
    """Add what the caller does to something, in the transaction that does it."""
    told = ", ".join(details)
    await tx.audit.append(
        action,
        target=f"{target}: {told}" if told else target,
        actor_user_id=actor.user_id,
        client=actor.client,
        at=at,
    )


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

    async def page(
        self,
        actor: Actor,
        *,
        q: str = "",
        action: str = "",
        since: int = 0,
        cursor: str | None = None,
        limit: int = LIMIT,
    ) -> Stretch[AuditEntry]:
        """Return what `list` returns, to be read on. Raises `InvalidInput`."""
        actor.require_admin()
        limit = min(limit, LIMIT_MAX)
        until = parse_place(cursor)
        async with self.db.read() as tx:
            found = await tx.audit.list(
                key=fold(q), action=action, since=since, until=until, limit=limit + 1
            )
        return Stretch.by_place(
            found, limit=limit, place=lambda entry: (entry.created_at, entry.id)
        )

    async def purge(self, actor: Actor, *, before: int) -> int:
        """Forget entries before an instant; return how many. For jobs and administrators."""
        actor.require_admin()
        async with self.db.transaction() as tx:
            return await tx.audit.purge(before=before)
