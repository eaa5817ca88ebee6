"""The audit log: who did what, to what, from where; only ever appended to."""

import itertools
from typing import Final

from palaver.domain.cursors import LAST_ID
from palaver.domain.users import AuditAction, AuditEntry, Client
from palaver.kit.text import fold
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_COLUMNS = "id, action, target, actor_user_id, ip, user_agent, created_at"

_APPEND: Statement[None] = Statement(
    """
    insert into audit_entries (
        action, target, actor_user_id, ip, user_agent, text_key, created_at
    ) values (:action, :target, :actor_user_id, :ip, :user_agent, :text_key, :at)
    """
)
_ACTION: Final = "and action = :action"
_WORDS: Final = {
    "sqlite": "and instr(text_key, :key) > 0",
    "postgresql": "and strpos(text_key, :key) > 0",
}


def _list(*, has_action: bool, has_key: bool) -> Statement[AuditEntry]:
    texts = {
        engine: f"""
            select {_COLUMNS} from audit_entries
            where created_at >= :since and (created_at, id) < (:until, :before)
                {_ACTION if has_action else ""} {words if has_key else ""}
            order by created_at desc, id desc limit :limit
        """
        for engine, words in _WORDS.items()
    }
    return Statement(
        row=AuditEntry, sqlite=texts["sqlite"], postgresql=texts["postgresql"], slow=has_key
    )


_LISTS: Final = {
    (has_action, has_key): _list(has_action=has_action, has_key=has_key)
    for has_action, has_key in itertools.product((False, True), repeat=2)
}
_PURGE: Statement[None] = Statement("delete from audit_entries where created_at < :before")


class AuditStore:
    """Entries of the audit log."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def append(
        self,
        action: AuditAction,
        *,
        target: str | None,
        actor_user_id: int | None,
        client: Client,
        at: int,
    ) -> None:
        """Add an entry."""
        ip, user_agent = client.address or None, client.user_agent or None
        await self.connection.run(
            _APPEND,
            action=action.value,
            target=target,
            actor_user_id=actor_user_id,
            ip=ip,
            user_agent=user_agent,
            text_key=fold("\n".join(filter(None, (action.value, target, ip, user_agent)))),
            at=at,
        )

    async def list(
        self,
        *,
        key: str = "",
        action: str = "",
        since: int = 0,
        until: tuple[int, int] = (LAST_ID, LAST_ID),
        limit: int,
    ) -> list[AuditEntry]:
        """Return entries since an instant, newest first, older than the one of instant and id.

        `key` is a folded substring of action, target, address or user agent; "" = any.
        """
        statement = _LISTS[bool(action), bool(key)]
        at, id = until
        values = {"action": action, "key": key, "since": since, "limit": limit}
        values |= {"until": at, "before": id}
        return await self.connection.all(statement, **values)

    async def purge(self, *, before: int) -> int:
        """Forget the entries before an instant; return how many."""
        return await self.connection.run(_PURGE, before=before)
