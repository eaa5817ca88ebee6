"""The shapes of the chapters "Invites" and "Audit log"."""

from msgspec import Struct

from palaver.dialects.native.wire import Time, render_time
from palaver.domain import users
from palaver.domain.cursors import Stretch
from palaver.web.bodies import Int64


class InviteCreate(Struct):
    """An invite that is wanted; without hours it never expires."""

    expires_in_hours: Int64 | None = None
    max_uses: Int64 = 1


class Invite(Struct):
    """A code that lets somebody register; who made it and who last used it are users' numbers."""

    code: str
    created_by: int | None
    max_uses: int
    uses: int
    used_by: int | None
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None

    @classmethod
    def of(cls, invite: users.Invite) -> "Invite":
        """Render an invite."""
        return cls(
            code=invite.code,
            created_by=invite.created_by,
            max_uses=invite.max_uses,
            uses=invite.uses,
            used_by=invite.used_by,
            created_at=render_time(invite.created_at),
            expires_at=_time(invite.expires_at),
            revoked_at=_time(invite.revoked_at),
        )


class Invites(Struct):
    """Invites, newest first."""

    items: list[Invite]
    next: str | None

    @classmethod
    def of(cls, found: Stretch[users.Invite]) -> "Invites":
        """Render a stretch of the list."""
        return cls([Invite.of(item) for item in found.items], found.next)


class AuditEntry(Struct):
    """Something that was done, by whom, to what and from where."""

    id: int
    action: str
    target: str | None
    actor_user_id: int | None
    address: str | None
    user_agent: str | None
    created_at: Time

    @classmethod
    def of(cls, entry: users.AuditEntry) -> "AuditEntry":
        """Render an entry."""
        return cls(
            entry.id,
            entry.action,
            entry.target,
            entry.actor_user_id,
            entry.ip,
            entry.user_agent,
            render_time(entry.created_at),
        )


class Audit(Struct):
    """Entries of the audit log, newest first."""

    items: list[AuditEntry]
    next: str | None

    @classmethod
    def of(cls, found: Stretch[users.AuditEntry]) -> "Audit":
        """Render a stretch of the log."""
        return cls([AuditEntry.of(entry) for entry in found.items], found.next)


def _time(at: int | None) -> Time | None:
    return None if at is None else render_time(at)
