"""People and how they come in: accounts, roles, sign-ins, invites, the audit log."""

import enum
from typing import Final

import msgspec

from palaver.domain.api_keys import Scope
from palaver.domain.errors import DomainError, ErrorKind
from palaver.kit.ids import new_uuid, uuid_of


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
    repeat_key: str | None = None  # the same in all repeats of one request, None if it has no key
    user_uuid: str | None = None
    key_id: int | None = None  # the API key that this call came with, in place of a session
    scopes: frozenset[Scope] | None = None  # what that key allows; None: everything
    must_enrol: bool = False  # may do nothing but set up the second factor that is required

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

    @property
    def owner_uuid(self) -> str:
        """Return the uuid of who is signed in. Raises as `owner_id` does."""
        if self.user_uuid is None:
            raise DomainError("Sign in first.", kind=ErrorKind.UNAUTHENTICATED)
        return self.user_uuid

    def uuid_for(self, noun: str, number: int = 0) -> str:
        """Return the uuid of what this request makes: of its `number`-th thing of a kind.

        With a repeat key it is the same in all repeats, so that each finds what was made before;
        without one it is a new one at every call.
        """
        if self.repeat_key is None:
            return new_uuid()
        return uuid_of(f"{self.repeat_key}/{noun}/{number}")

    @property
    def is_admin(self) -> bool:
        """Tell whether this caller administers the server."""
        return self.role is Role.ADMIN

    def require_admin(self) -> None:
        """Raise `DomainError` (`ADMIN_REQUIRED`) unless this caller administers the server."""
        if not self.is_admin:
            raise DomainError("Only an administrator may do this.", kind=ErrorKind.ADMIN_REQUIRED)


SYSTEM: Final = Actor(role=Role.ADMIN)
"""Palaver itself: jobs and commands."""


class User(msgspec.Struct, frozen=True, gc=False):
    """An account; its names are unique in their folded forms (`domain/accounts.py`)."""

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
    second_factor_at: int | None  # since when signing in takes a one-time code as well

    @property
    def is_active(self) -> bool:
        """Tell whether this user may sign in."""
        return self.disabled_at is None

    @property
    def is_admin(self) -> bool:
        """Tell whether this user administers the server."""
        return self.role is Role.ADMIN

    @property
    def has_password(self) -> bool:
        """Tell whether this user can sign in by a password, and not by a provider alone."""
        return self.password_hash != ""

    @property
    def display_name(self) -> str:
        """Return what to call this person."""
        return self.name or self.username


class Session(msgspec.Struct, frozen=True, gc=False):
    """One sign-in: a browser's cookie, or the family of tokens that one login handed out.

    `token_hash` is None for a family of tokens: its JWTs name the session by its uuid.
    """

    id: int
    uuid: str
    owner_id: int
    token_hash: str | None
    ip: str | None
    user_agent: str | None
    created_at: int
    last_used_at: int
    expires_at: int
    ended_at: int | None

    @property
    def is_browser(self) -> bool:
        """Tell whether it is a browser's, and no family of tokens."""
        return self.token_hash is not None

    @property
    def device(self) -> str:
        """Return what it was opened on, as far as that can be told: "Firefox on Linux"."""
        return device_name(self.user_agent or "")

    def is_live(self, *, at: int) -> bool:
        """Tell whether this sign-in still counts."""
        return self.ended_at is None and at < self.expires_at


_BROWSERS: Final = (
    # In this order: most name several others as well.
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def device_name(user_agent: str) -> str:
    """Return what a person calls the program and the system behind a `User-Agent`."""
    program = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if program and system:
        return f"{program} on {system}"
    return program or system or user_agent.partition("/")[0][:50] or "Unknown"


class CookieSignIn(msgspec.Struct, frozen=True):
    """What a browser gets at sign-in. The cookies' values are shown here and never again."""

    user: User
    session: Session
    cookie: str
    csrf_token: str
    device: str  # the value of the device cookie; this browser's own, if it is known


class TokenSignIn(msgspec.Struct, frozen=True):
    """What a program gets at sign-in and at every refresh: the same refresh token each time."""

    user: User
    access_token: str
    refresh_token: str
    expires_in_seconds: int


class Invite(msgspec.Struct, frozen=True, gc=False):
    """A code that lets somebody register, `max_uses` times until `expires_at`."""

    id: int
    code: str
    created_by: int | None  # None: by a command of the operator
    max_uses: int
    uses: int
    used_by: int | None  # the latest one
    expires_at: int | None
    revoked_at: int | None
    created_at: int


class AuditAction(enum.StrEnum):
    """What the audit log tells about."""

    SIGNED_IN = "auth.login"
    SIGN_IN_FAILED = "auth.login_failed"
    SIGNED_OUT = "auth.logout"
    REGISTERED = "auth.register"
    IDENTITY_LINKED = "auth.identity_linked"
    PASSWORD_CHANGED = "auth.password_changed"  # noqa: S105  # a name
    PASSWORD_RENEWED = "auth.password_renewed"  # noqa: S105  # by the link of an administrator
    SESSION_ENDED = "auth.session_ended"
    SECOND_FACTOR_ADDED = "auth.second_factor_added"
    SECOND_FACTOR_REMOVED = "auth.second_factor_removed"
    RECOVERY_CODES_RENEWED = "auth.recovery_codes_renewed"
    RECOVERY_CODE_USED = "auth.recovery_code_used"
    KEY_CREATED = "auth.key_created"
    KEY_REVOKED = "auth.key_revoked"
    ACCOUNT_DELETED = "auth.account_deleted"
    BOOTSTRAPPED = "admin.bootstrap"
    USER_CREATED = "admin.user_created"
    USER_DELETED = "admin.user_deleted"
    ROLE_CHANGED = "admin.role_changed"
    STATUS_CHANGED = "admin.status_changed"
    PASSWORD_RESET = "admin.password_reset"  # noqa: S105  # a name
    RESET_LINK_MADE = "admin.reset_link_made"
    INVITE_CREATED = "invite.created"
    INVITE_REDEEMED = "invite.redeemed"
    INVITE_REVOKED = "invite.revoked"
    PLAN_CREATED = "plan.created"
    PLAN_CHANGED = "plan.changed"
    PLAN_DELETED = "plan.deleted"
    SUBSCRIBED = "subscription.began"
    UNSUBSCRIBED = "subscription.ended"
    CHATBOT_CREATED = "chatbot.created"
    CHATBOT_CHANGED = "chatbot.changed"
    CHATBOT_DELETED = "chatbot.deleted"
    MODEL_ADDED = "model.added"
    MODEL_CHANGED = "model.changed"
    MODEL_DELETED = "model.deleted"


class AuditEntry(msgspec.Struct, frozen=True, gc=False):
    """One act of administration or sign-in: who, what, on which target, from where."""

    id: int
    action: str
    target: str | None
    actor_user_id: int | None
    ip: str | None
    user_agent: str | None
    created_at: int
