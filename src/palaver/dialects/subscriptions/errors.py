"""How the `subscriptions` contract words a failure: `{"error": a phrase, "detail": a sentence}`."""

from collections.abc import Mapping
from typing import Final, assert_never

from starlette.responses import Response

from palaver.dialects.subscriptions import wire
from palaver.dialects.subscriptions.users_wire import limit_name
from palaver.domain.errors import (
    DomainError,
    ErrorKind,
    FieldFault,
    InvalidInput,
    NotFound,
    QuotaExceeded,
)
from palaver.domain.limits import Window
from palaver.web.answers import json_answer
from palaver.web.call import Call

_NO_SUBSCRIPTION: Final = wire.Error(
    "No active subscription found", "You have no subscription: what is open to everybody applies."
)
_NAMES: Final = {"content": "message"}
"""What "Send Message to Session" calls it; "Edit Message" calls it `content`."""
_NOUNS: Final = {"conversation": "Chat session", "session": "Chat session", "message": "Message"}
"""What is missing, by its noun inside."""


def render_error(error: DomainError, call: Call) -> Response:  # noqa: ARG001  # what a contract gets
    """Return a failure with its status."""
    return _render(error, {})


def render_send_error(error: DomainError, call: Call) -> Response:  # noqa: ARG001  # see above
    """Return a failure of "Send Message to Session"."""
    return _render(error, _NAMES)


def _render(error: DomainError, names: Mapping[str, str]) -> Response:
    status, phrase = meaning(error.kind)
    match error:
        case QuotaExceeded():
            return json_answer(
                wire.LimitError(
                    phrase,
                    error.message,
                    limit_name(error.limit),
                    Window(error.window),
                    wire.render_time_if(error.reset_at),
                ),
                status,
            )
        case InvalidInput():
            detail = " ".join(_told(fault, names) for fault in error.faults)
        case NotFound(noun="subscription"):
            return json_answer(_NO_SUBSCRIPTION, status)
        case NotFound(noun=noun) if noun in _NOUNS:
            detail = f"{_NOUNS[noun]} not found."
        case _:
            detail = error.message
    return json_answer(wire.Error(phrase, detail), status)


def _told(fault: FieldFault, names: Mapping[str, str]) -> str:
    """Return a sentence that names the field, in the word that this route has for it."""
    if fault.field == "body":
        return fault.message
    return f"{names.get(fault.field, fault.field)}: {fault.message}"


def meaning(kind: ErrorKind) -> tuple[int, str]:  # noqa: C901  # one line a kind, no logic
    """Return the status of a kind of failure and its phrase."""
    match kind:
        case ErrorKind.UNAUTHENTICATED | ErrorKind.INVALID_TOKEN | ErrorKind.INVALID_REFRESH_TOKEN:
            return 401, "Authentication required"
        case ErrorKind.SESSION_EXPIRED:
            return 401, "Session expired"
        case ErrorKind.USER_INACTIVE:
            return 401, "Account disabled"
        case ErrorKind.INVALID_CREDENTIALS:
            return 401, "Invalid credentials"
        case ErrorKind.CSRF_INVALID:
            return 403, "CSRF check failed"
        case ErrorKind.NOT_IN_PLAN:
            return 403, "Not in your plan"
        case ErrorKind.FORBIDDEN | ErrorKind.ADMIN_REQUIRED | ErrorKind.SCOPE_REQUIRED:
            return 403, "Permission denied"
        case ErrorKind.BOOTSTRAP_DISABLED | ErrorKind.INVALID_BOOTSTRAP_TOKEN:
            return 403, "Permission denied"
        case ErrorKind.SECOND_FACTOR_REQUIRED:
            return 403, "Second factor required"
        case ErrorKind.REGISTRATION_CLOSED:
            return 403, "Registration closed"
        case ErrorKind.NOT_FOUND:
            return 404, "Not found"
        case ErrorKind.METHOD_NOT_ALLOWED:
            return 405, "Method not allowed"
        case ErrorKind.INVALID_INPUT | ErrorKind.INVALID_INVITE | ErrorKind.ALREADY_REVOKED:
            return 400, "Invalid input"
        case ErrorKind.IDEMPOTENCY_MISMATCH:
            return 400, "Idempotency key reused"
        case ErrorKind.PROVIDER_NOT_FOUND | ErrorKind.MODEL_NOT_FOUND:
            return 400, "Unknown model"
        case ErrorKind.NO_USER_MESSAGE:
            return 400, "No user message"
        case ErrorKind.USERNAME_TAKEN | ErrorKind.EMAIL_TAKEN | ErrorKind.CONFLICT:
            return 409, "Conflict"
        case ErrorKind.PAYLOAD_TOO_LARGE:
            return 413, "Payload too large"
        case ErrorKind.UNSUPPORTED_MEDIA_TYPE:
            return 415, "Unsupported media type"
        case ErrorKind.QUOTA_EXCEEDED:
            return 429, "Quota exceeded"
        case ErrorKind.RATE_LIMITED | ErrorKind.LOGIN_THROTTLED:
            return 429, "Too many requests"
        case ErrorKind.INTERNAL:
            return 500, "Internal server error"
        case ErrorKind.PROVIDER_UNREACHABLE | ErrorKind.PROVIDER_FAILED:
            return 502, "Provider failed"
        case ErrorKind.INTERRUPTED:
            return 502, "Answer interrupted"
        case ErrorKind.BUSY:
            return 503, "Busy"
        case ErrorKind.PROVIDER_OVERLOADED:
            return 503, "Provider overloaded"
        case ErrorKind.PROVIDER_TIMEOUT:
            return 504, "Provider timed out"
        case _:
            assert_never(kind)
