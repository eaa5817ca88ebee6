"""What can go wrong, as a closed set of kinds: what happened, never how it looks on a wire.

Each contract maps every kind to its own status and body (`dialects/*/errors.py`), and
`assert_never` makes the type checker find the contract that forgot one.
"""

import enum
from collections.abc import Iterable, Mapping

import msgspec


class ErrorKind(enum.StrEnum):
    """Every expected failure that a caller can meet.

    The values stand in the logs of runs: they are frozen. The names are free; a contract that has
    them on its wire says so with its own tests.
    """

    # Who is asking?
    UNAUTHENTICATED = "unauthenticated"  # no credential, or one that was never issued
    SESSION_EXPIRED = "session_expired"  # a credential of ours that has ended
    INVALID_TOKEN = "invalid_token"  # noqa: S105  # a bearer that is no live access token
    INVALID_REFRESH_TOKEN = "invalid_refresh_token"  # noqa: S105  # one that never was, or no longer is
    USER_INACTIVE = "user_inactive"
    INVALID_CREDENTIALS = "invalid_credentials"
    LOGIN_THROTTLED = "login_throttled"

    # May they?
    CSRF_INVALID = "csrf_invalid"
    FORBIDDEN = "forbidden"
    ADMIN_REQUIRED = "admin_required"
    SCOPE_REQUIRED = "scope_required"
    SECOND_FACTOR_REQUIRED = "second_factor_required"  # the account has none, and must
    BOOTSTRAP_DISABLED = "bootstrap_disabled"
    INVALID_BOOTSTRAP_TOKEN = "invalid_bootstrap_token"  # noqa: S105
    REGISTRATION_CLOSED = "registration_closed"
    NOT_IN_PLAN = "not_in_plan"  # it is there, but the caller's plan does not hold it
    INVALID_INVITE = "invalid_invite"

    # Is it there?
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"

    # Can it be understood?
    INVALID_INPUT = "invalid_input"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    PROVIDER_NOT_FOUND = "provider_not_found"
    MODEL_NOT_FOUND = "model_not_found"
    NO_USER_MESSAGE = "no_user_message"
    ALREADY_REVOKED = "already_revoked"

    # Does it clash?
    USERNAME_TAKEN = "username_taken"
    EMAIL_TAKEN = "email_taken"
    CONFLICT = "conflict"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"  # the key was used with another body

    # Is there room?
    QUOTA_EXCEEDED = "quota_exceeded"
    RATE_LIMITED = "rate_limited"
    BUSY = "busy"  # the database is held by somebody else; the same call may go through

    # The other side
    PROVIDER_UNREACHABLE = "provider_unreachable"
    PROVIDER_TIMEOUT = "provider_timeout"
    PROVIDER_OVERLOADED = "provider_overloaded"
    PROVIDER_FAILED = "provider_failed"
    INTERRUPTED = "interrupted"  # the worker died in the middle of an answer

    # Us
    INTERNAL = "internal"


class DomainError(Exception):
    """An expected failure: its kind, a sentence for a person, and when to try again."""

    kind: ErrorKind = ErrorKind.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_seconds = retry_after_seconds
        if kind is not None:
            self.kind = kind


class NotFound(DomainError):
    """It does not exist, or it belongs to somebody else: nothing tells which."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self, noun: str) -> None:
        super().__init__(f"{noun.capitalize()} not found.")
        self.noun = noun


class QuotaExceeded(DomainError):
    """A limit of the caller's plan leaves no room; of several, the one that frees last.

    `limit` is the field of `Plan`, `window` one of `hour`, `three_hours`, `twelve_hours`, `day`,
    `week`, `month`, `lifetime`; `reset_at` is the instant at which there is room again, None =
    never by itself.
    """

    kind = ErrorKind.QUOTA_EXCEEDED

    def __init__(
        self,
        message: str,
        *,
        limit: str,
        window: str,
        reset_at: int | None,
        retry_after_seconds: int,
    ) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.limit = limit
        self.window = window
        self.reset_at = reset_at


class Fault(enum.StrEnum):
    """What is wrong with one field of an input; each contract has its own words for each."""

    MISSING = "missing"
    NULL = "null"
    BLANK = "blank"
    WRONG_TYPE = "wrong_type"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    NOT_ALLOWED = "not_allowed"  # a value outside the permitted ones
    WRONG_FORMAT = "wrong_format"
    MALFORMED = "malformed"  # the body as a whole cannot be read


class FieldFault(msgspec.Struct, frozen=True):
    """One wrong field: where it stands, what is wrong, and the limit that it broke."""

    path: tuple[str | int, ...]  # ("body", "messages", 0, "role"); ("query", "limit")
    fault: Fault
    message: str
    expected: str = ""  # the type or the set that was wanted, as JSON names it
    limit: int | float | None = None
    given: str = ""  # the type of what came instead of a body, as Python names it

    @property
    def field(self) -> str:
        """Return the dotted name without its place: `messages.0.role`."""
        return ".".join(map(str, self.path[1:])) or str(self.path[0])


class InvalidInput(DomainError):
    """Something was given that cannot be taken; every wrong field is named."""

    kind = ErrorKind.INVALID_INPUT

    def __init__(self, faults: Iterable[FieldFault]) -> None:
        self.faults = tuple(faults)
        super().__init__(" ".join(f"{fault.field}: {fault.message}" for fault in self.faults))

    def renamed(self, names: Mapping[str, str]) -> "InvalidInput":
        """Return it with other names for fields of the body."""
        return InvalidInput(
            msgspec.structs.replace(fault, path=(fault.path[0], names[fault.field]))
            if fault.field in names
            else fault
            for fault in self.faults
        )

    @classmethod
    def of(
        cls,
        field: str,
        fault: Fault,
        message: str,
        *,
        place: str = "body",
        limit: float | None = None,
    ) -> "InvalidInput":
        """Blame one field of the body."""
        return cls([FieldFault((place, *field.split(".")), fault, message, limit=limit)])


class ProviderError(DomainError):
    """A provider could not give (the rest of) an answer; `kind` tells why."""

    kind = ErrorKind.PROVIDER_FAILED

    @property
    def may_be_repeated(self) -> bool:
        """Tell whether the same request could succeed a moment later."""
        return self.kind in _PASSING


_PASSING = frozenset({ErrorKind.PROVIDER_UNREACHABLE, ErrorKind.PROVIDER_OVERLOADED})
