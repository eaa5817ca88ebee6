"""The shapes of the chapters about oneself: account, second factor, sessions, API keys."""

from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct

from palaver.dialects.native.wire import Id, Time, render_time
from palaver.domain import api_keys, users
from palaver.domain.api_keys import Scope
from palaver.domain.cursors import Stretch
from palaver.domain.users import Actor, Role
from palaver.services import second_factor

Code: TypeAlias = Annotated[str, Meta(extra_json_schema={"examples": ["492039"]})]

PASSWORDS: Final = {"current_password": "current", "new_password": "new"}
"""What "Change Password" calls them."""


# Account


class Account(Struct):
    """One's own account."""

    id: Id
    username: str
    email: str | None
    name: str
    role: Literal["user", "admin"]
    has_second_factor: bool
    must_enrol: bool
    created_at: Time
    last_login: Time | None

    @classmethod
    def of(cls, user: users.User, actor: Actor) -> "Account":
        """Render the caller's account."""
        return cls(
            id=user.uuid,
            username=user.username,
            email=user.email,
            name=user.display_name,
            role="admin" if user.role is Role.ADMIN else "user",
            has_second_factor=user.second_factor_at is not None,
            must_enrol=actor.must_enrol,
            created_at=render_time(user.created_at),
            last_login=None if user.last_login_at is None else render_time(user.last_login_at),
        )


class PasswordChange(Struct):
    """The password that one has, and the one that one wants."""

    current: str
    new: str
    otp: Code | None = None


class Proof(Struct):
    """What proves that it is oneself: for what a browser left open must not be able to do."""

    password: str
    otp: Code | None = None


# Second factor


class SecondFactor(Struct):
    """Whether signing in takes a one-time code, and whether it has to."""

    is_enabled: bool
    enabled_at: Time | None
    recovery_codes_left: int
    is_required: bool

    @classmethod
    def of(cls, status: second_factor.SecondFactorStatus) -> "SecondFactor":
        """Render how an account stands."""
        at = status.confirmed_at
        return cls(
            at is not None,
            None if at is None else render_time(at),
            status.recovery_codes_left,
            status.is_required,
        )


class Password(Struct):
    """One's own password."""

    password: str


class Enrolment(Struct):
    """What an authenticator app needs: as text to type, and as the content of a QR code."""

    secret: str
    otpauth_uri: str


class Confirmation(Struct):
    """The code that the app shows now."""

    code: Code


class RecoveryCodes(Struct):
    """Codes that stand in for the app, each once. They are shown now, and never again."""

    recovery_codes: list[str]


# Sessions


class Session(Struct):
    """A sign-in: a browser's, or a family of tokens."""

    id: Id
    kind: Literal["cookie", "tokens"]
    is_current: bool
    device: str
    user_agent: str | None
    address: str | None
    created_at: Time
    last_used_at: Time
    expires_at: Time

    @classmethod
    def of(cls, session: users.Session, actor: Actor) -> "Session":
        """Render a sign-in of the caller's."""
        return cls(
            id=session.uuid,
            kind="cookie" if session.is_browser else "tokens",
            is_current=session.id == actor.session_id,
            device=session.device,
            user_agent=session.user_agent,
            address=session.ip,
            created_at=render_time(session.created_at),
            last_used_at=render_time(session.last_used_at),
            expires_at=render_time(session.expires_at),
        )


class Sessions(Struct):
    """One's own sign-ins, the latest used first."""

    items: list[Session]
    next: str | None


class Ended(Struct):
    """How many sign-ins were ended."""

    ended: int


# API keys


class KeyCreate(Struct):
    """A key that is wanted; without scopes it has all but `admin`."""

    name: Annotated[
        str,
        Meta(
            extra_json_schema={
                "minLength": 1,
                "maxLength": api_keys.NAME_MAX_LENGTH,
                "pattern": r"\S",
            }
        ),
    ]
    scopes: list[Scope] | None = None
    expires_at: datetime | None = None


class Key(Struct):
    """A key, without its secret."""

    id: Id
    name: str
    scopes: list[Scope]
    prefix: str
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None

    @classmethod
    def of(cls, key: api_keys.ApiKey) -> "Key":
        """Render a key."""
        return cls(
            id=key.uuid,
            name=key.name,
            scopes=_in_order(key),
            prefix=key.prefix,
            created_at=render_time(key.created_at),
            expires_at=_time(key.expires_at),
            last_used_at=_time(key.last_used_at),
        )


class NewKey(Struct):
    """A key with its secret, which is shown this once."""

    id: Id
    name: str
    scopes: list[Scope]
    key: str
    prefix: str
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None

    @classmethod
    def of(cls, made: api_keys.NewApiKey) -> "NewKey":
        """Render a key that was made just now."""
        key = made.api_key
        return cls(
            id=key.uuid,
            name=key.name,
            scopes=_in_order(key),
            key=made.key,
            prefix=key.prefix,
            created_at=render_time(key.created_at),
            expires_at=_time(key.expires_at),
            last_used_at=None,
        )


class Keys(Struct):
    """One's own keys, newest first."""

    items: list[Key]
    next: str | None

    @classmethod
    def of(cls, found: Stretch[api_keys.ApiKey]) -> "Keys":
        """Render a stretch of the list."""
        return cls([Key.of(key) for key in found.items], found.next)


def _in_order(key: api_keys.ApiKey) -> list[Scope]:
    return [scope for scope in Scope if scope in key.scopes]


def _time(at: int | None) -> Time | None:
    return None if at is None else render_time(at)
