"""How the `platform` contract words a failure: `{"error", "message", "details"?}`."""

from typing import Final, assert_never

from starlette.responses import Response

from palaver.dialects.platform import wire
from palaver.domain.accounts import Taken
from palaver.domain.errors import DomainError, ErrorKind, InvalidInput, NotFound
from palaver.web.answers import json_answer
from palaver.web.call import Call

_MESSAGES: Final = {
    ErrorKind.INVALID_INPUT: "Invalid request parameters",
    ErrorKind.UNAUTHENTICATED: "Invalid or expired token",
    ErrorKind.SESSION_EXPIRED: "Invalid or expired token",
    ErrorKind.INVALID_TOKEN: "Invalid or expired token",
    ErrorKind.INVALID_REFRESH_TOKEN: "Invalid or expired token",
    ErrorKind.NOT_FOUND: "Resource not found",
    ErrorKind.RATE_LIMITED: "Too many requests",
    ErrorKind.INTERNAL: "An unexpected error occurred",
}
"""The document's words; all else is told in the failure's own."""


def render_error(error: DomainError, call: Call) -> Response:  # noqa: ARG001  # what a contract gets
    """Return a failure with its status."""
    status, code = meaning(error.kind)
    message = _MESSAGES.get(error.kind, error.message)
    if isinstance(error, NotFound) and error.noun == "route":
        # Three contracts share the prefix `/api/v1/`: each finds its own field.
        return json_answer(wire.Stray(message, code, message), status)
    if isinstance(error, InvalidInput):
        details = {fault.field: fault.message for fault in error.faults}
        return json_answer(wire.Error(code, message, details), status)
    if isinstance(error, Taken):
        details = dict.fromkeys(error.fields, "Somebody else has this.")
        return json_answer(wire.Error("bad_request", message, details), 400)
    return json_answer(wire.Error(code, message), status)


def render_completion_error(error: DomainError, call: Call) -> Response:
    """Return a failure of a completion: what is too long for the model is all of its messages."""
    renamed = error.renamed({"content": "messages"}) if isinstance(error, InvalidInput) else error
    return render_error(renamed, call)


def meaning(kind: ErrorKind) -> tuple[int, str]:  # noqa: C901  # one line a kind, no logic
    """Return the status of a kind of failure and its code, which streams use as well."""
    match kind:
        case ErrorKind.UNAUTHENTICATED | ErrorKind.SESSION_EXPIRED | ErrorKind.INVALID_TOKEN:
            return 401, "unauthorized"
        case ErrorKind.INVALID_REFRESH_TOKEN | ErrorKind.USER_INACTIVE:
            return 401, "unauthorized"
        case ErrorKind.INVALID_CREDENTIALS:
            return 401, "unauthorized"
        case ErrorKind.CSRF_INVALID | ErrorKind.FORBIDDEN | ErrorKind.ADMIN_REQUIRED:
            return 403, "forbidden"
        case ErrorKind.SCOPE_REQUIRED | ErrorKind.BOOTSTRAP_DISABLED | ErrorKind.NOT_IN_PLAN:
            return 403, "forbidden"
        case ErrorKind.INVALID_BOOTSTRAP_TOKEN | ErrorKind.REGISTRATION_CLOSED:
            return 403, "forbidden"
        case ErrorKind.SECOND_FACTOR_REQUIRED:
            return 403, "forbidden"
        case ErrorKind.INVALID_INVITE:
            return 403, "forbidden"
        case ErrorKind.NOT_FOUND:
            return 404, "not_found"
        case ErrorKind.METHOD_NOT_ALLOWED:
            return 405, "method_not_allowed"
        case ErrorKind.INVALID_INPUT | ErrorKind.IDEMPOTENCY_MISMATCH:
            return 400, "bad_request"
        case ErrorKind.PROVIDER_NOT_FOUND | ErrorKind.MODEL_NOT_FOUND:
            return 400, "bad_request"
        case ErrorKind.NO_USER_MESSAGE | ErrorKind.ALREADY_REVOKED:
            return 400, "bad_request"
        case ErrorKind.USERNAME_TAKEN | ErrorKind.EMAIL_TAKEN:
            return 400, "bad_request"
        case ErrorKind.CONFLICT:
            return 409, "conflict"
        case ErrorKind.PAYLOAD_TOO_LARGE:
            return 413, "payload_too_large"
        case ErrorKind.UNSUPPORTED_MEDIA_TYPE:
            return 415, "unsupported_media_type"
        case ErrorKind.RATE_LIMITED | ErrorKind.LOGIN_THROTTLED:
            return 429, "rate_limit_exceeded"
        case ErrorKind.QUOTA_EXCEEDED:
            return 429, "quota_exceeded"
        case ErrorKind.PROVIDER_UNREACHABLE | ErrorKind.PROVIDER_FAILED:
            return 502, "provider_error"
        case ErrorKind.PROVIDER_TIMEOUT:
            return 504, "provider_timeout"
        case ErrorKind.BUSY | ErrorKind.PROVIDER_OVERLOADED | ErrorKind.INTERRUPTED:
            return 503, "unavailable"
        case ErrorKind.INTERNAL:
            return 500, "internal_error"
        case _:
            assert_never(kind)
