"""The shapes of the chapter "Admin", in its document's order."""

from typing import Literal

from msgspec import Struct

from palaver.dialects.streaming.wire import Time, render_time, render_time_if
from palaver.domain import users
from palaver.domain.users import Role
from palaver.web.bodies import Int64


class Bootstrap(Struct):
    """The body of "Bootstrap Admin"."""

    username: str
    password: str


class User(Struct):
    """A user, as an administrator sees them."""

    id: int
    username: str
    role: Role
    status: Literal["active", "disabled"]
    created_at: Time
    last_login: Time | None

    @classmethod
    def of(cls, user: users.User) -> "User":
        """Render a user."""
        return cls(
            user.id,
            user.username,
            user.role,
            "active" if user.is_active else "disabled",
            render_time(user.created_at),
            render_time_if(user.last_login_at),
        )


class Users(Struct):
    """Accounts, newest first."""

    users: list[User]


class UserUpdate(Struct):
    """What is to change about a user; what is absent or null stays."""

    role: Role | None = None
    status: Literal["active", "disabled"] | None = None

    @property
    def is_active(self) -> bool | None:
        """Return whether the user may sign in, None to leave that alone."""
        return None if self.status is None else self.status == "active"


class InviteCreate(Struct):
    """The body of "Create Invite"."""

    expires_in_hours: Int64 | None = None
    max_uses: Int64 | None = None  # 1


class NewInvite(Struct):
    """A code that lets somebody register."""

    invite_code: str
    expires_at: Time | None

    @classmethod
    def of(cls, invite: users.Invite) -> "NewInvite":
        """Render an invite that was made just now."""
        return cls(invite.code, render_time_if(invite.expires_at))


class Invite(Struct):
    """An invite, and who made and who last used it: ids of users."""

    code: str
    created_by: int | None
    used_by: int | None
    expires_at: Time | None
    revoked_at: Time | None
    created_at: Time

    @classmethod
    def of(cls, invite: users.Invite) -> "Invite":
        """Render an invite."""
        return cls(
            invite.code,
            invite.created_by,
            invite.used_by,
            render_time_if(invite.expires_at),
            render_time_if(invite.revoked_at),
            render_time(invite.created_at),
        )


class Invites(Struct):
    """Invites, newest first."""

    invites: list[Invite]


class RevokedInvite(Struct):
    """An invite that is of no use any more."""

    code: str
    revoked_at: Time | None

    @classmethod
    def of(cls, invite: users.Invite) -> "RevokedInvite":
        """Render a revoked invite."""
        return cls(invite.code, render_time_if(invite.revoked_at))


class AuditEntry(Struct):
    """Something that was done, by whom and from where."""

    id: int
    action: str
    target: str | None
    actor_user_id: int | None
    ip: str | None
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

    entries: list[AuditEntry]
