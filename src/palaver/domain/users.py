"""People and how they come in: accounts, roles, sign-ins, invites, the audit log."""

import enum
from typing import Final

import msgspec

from palaver.domain.errors import DomainError, ErrorKind, Fault, FieldFault
from palaver.kit.text import fold

PASSWORD_MIN_LENGTH: Final = 8
PASSWORD_MAX_LENGTH: Final = 1024
USERNAME_MAX_LENGTH: Final = 150
EMAIL_MAX_LENGTH: Final = 254


class Role(enum.StrEnum):
    """What a user may do beside their own things."""

    USER = "user"
    ADMIN = "admin"


class Client(msgspec.Struct, frozen=True):
    """Where a request comes from, as throttling and the audit log know it."""

    address: str = ""
    user_agent: str = ""
    device: str = ""  # the value of the device cookie, "" when it sent none


class Actor(msgspec.Struct, frozen=True):
    """The caller of one use case; `user_id` is None before sign-in and for Palaver itself."""

    user_id: int | None = None
    role: Role = Role.USER
    session_id: int | None = None
    client: Client = Client()

    @classmethod
    def anonymous(cls, client: Client) -> "Actor":
        """Return the caller before sign-in."""
        return cls(client=client)

    @property
    def owner_id(self) -> int:
        """Return the id under which this caller's things are stored.

        Raises `DomainError` (`UNAUTHENTICATED`) when nobody is signed in.
        """
        if self.user_id is None:
            raise DomainError("Sign in first.", kind=ErrorKind.UNAUTHENTICATED)
        return self.user_id

    def require_admin(self) -> None:
        """Raise `DomainError` (`ADMIN_REQUIRED`) unless this caller administers the server."""
        if self.role is not Role.ADMIN:
            raise DomainError("Only an administrator may do this.", kind=ErrorKind.ADMIN_REQUIRED)


SYSTEM: Final = Actor(role=Role.ADMIN)
"""Palaver itself: jobs and commands."""


class User(msgspec.Struct, frozen=True, gc=False):
    """An account. `*_key` is the folded form that makes each name unique."""

    id: int
    uuid: str
    username: str
    email: str | None
    phone_number: str | None
    name: str | None
    password_hash: str
    role: Role
    disabled_at: int | None
    verified_at: int | None
    created_at: int
    last_login_at: int | None

    @property
    def is_active(self) -> bool:
        """Tell whether this user may sign in."""
        return self.disabled_at is None

    @property
    def is_admin(self) -> bool:
        """Tell whether this user administers the server."""
        return self.role is Role.ADMIN

    @property
    def display_name(self) -> str:
        """Return what to call this person."""
        return self.name or self.username


class Session(msgspec.Struct, frozen=True, gc=False):
    """One sign-in: a browser's cookie, or the family of tokens that one login handed out.

    `token_hash` is None for a family of tokens: its JWTs name the session by id.
    """

    id: int
    uuid: str
    owner_id: int
    token_hash: str | None
    created_at: int
    last_used_at: int
    expires_at: int
    ended_at: int | None

    def is_live(self, *, at: int) -> bool:
        """Tell whether this sign-in still counts."""
        return self.ended_at is None and at < self.expires_at


class Invite(msgspec.Struct, frozen=True, gc=False):
    """A code that lets somebody register, `max_uses` times until `expires_at`."""

    id: int
    code: str
    created_by: int
    max_uses: int
    uses: int
    used_by: int | None  # the latest one
    expires_at: int | None
    revoked_at: int | None
    created_at: int


class AuditEntry(msgspec.Struct, frozen=True, gc=False):
    """One act of administration or sign-in: who, what, on which target, from where."""

    id: int
    action: str
    target: str | None
    actor_user_id: int | None
    ip: str | None
    user_agent: str | None
    created_at: int


def username_key(username: str) -> str:
    """Return the form in which two user names are the same."""
    return fold(username.strip())


def email_key(email: str) -> str:
    """Return the form in which two e-mail addresses are the same."""
    return fold(email.strip())


def password_faults(
    password: str, *, username: str, email: str | None, field: str = "password"
) -> list[FieldFault]:
    """Say what is wrong with a password for this account (decisions, "Accounts and signing in")."""
    path = ("body", field)
    if len(password) < PASSWORD_MIN_LENGTH:
        message = f"This password is too short: use at least {PASSWORD_MIN_LENGTH} characters."
        return [FieldFault(path, Fault.TOO_SHORT, message, limit=PASSWORD_MIN_LENGTH)]
    if len(password) > PASSWORD_MAX_LENGTH:
        message = f"This password is too long: use at most {PASSWORD_MAX_LENGTH} characters."
        return [FieldFault(path, Fault.TOO_LONG, message, limit=PASSWORD_MAX_LENGTH)]
    if fold(password) in {username_key(username), email_key(email or "")}:
        message = "The password must not be the user name or the e-mail address."
        return [FieldFault(path, Fault.NOT_ALLOWED, message)]
    return []
