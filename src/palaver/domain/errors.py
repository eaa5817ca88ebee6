"""What can go wrong, as a closed set of kinds: what happened, never how it looks on a wire.

Each contract maps every kind to its own status and body (`dialects/*/errors.py`), and
`assert_never` makes the type checker find the contract that forgot one.
"""

import enum
from collections.abc import Iterable

import msgspec


class ErrorKind(enum.Enum):
    """Every expected failure that a caller can meet."""

    # Who is asking?
    UNAUTHENTICATED = enum.auto()  # no credential, or one that was never issued
    SESSION_EXPIRED = enum.auto()  # a credential of ours that has ended
    INVALID_TOKEN = enum.auto()  # a bearer that is no live access token
    INVALID_REFRESH_TOKEN = enum.auto()  # a refresh token that is not, or no longer, one
    USER_INACTIVE = enum.auto()
    INVALID_CREDENTIALS = enum.auto()
    LOGIN_THROTTLED = enum.auto()

    # May they?
    CSRF_INVALID = enum.auto()
    FORBIDDEN = enum.auto()
    ADMIN_REQUIRED = enum.auto()
    SCOPE_REQUIRED = enum.auto()
    BOOTSTRAP_DISABLED = enum.auto()
    INVALID_BOOTSTRAP_TOKEN = enum.auto()
    REGISTRATION_CLOSED = enum.auto()
    INVALID_INVITE = enum.auto()

    # Is it there?
    NOT_FOUND = enum.auto()
    METHOD_NOT_ALLOWED = enum.auto()

    # Can it be understood?
    INVALID_INPUT = enum.auto()
    PAYLOAD_TOO_LARGE = enum.auto()
    UNSUPPORTED_MEDIA_TYPE = enum.auto()
    PROVIDER_NOT_FOUND = enum.auto()
    MODEL_NOT_FOUND = enum.auto()
    NO_USER_MESSAGE = enum.auto()
    ALREADY_REVOKED = enum.auto()

    # Does it clash?
    USERNAME_TAKEN = enum.auto()
    EMAIL_TAKEN = enum.auto()
    CONFLICT = enum.auto()
    IDEMPOTENCY_MISMATCH = enum.auto()  # the key was used with another body

    # Is there room?
    QUOTA_EXCEEDED = enum.auto()
    RATE_LIMITED = enum.auto()
    BUSY = enum.auto()  # the database is held by somebody else; the same call may go through

    # The other side
    PROVIDER_UNREACHABLE = enum.auto()
    PROVIDER_TIMEOUT = enum.auto()
    PROVIDER_OVERLOADED = enum.auto()
    PROVIDER_FAILED = enum.auto()
    INTERRUPTED = enum.auto()  # the worker died in the middle of an answer

    # Us
    INTERNAL = enum.auto()


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
