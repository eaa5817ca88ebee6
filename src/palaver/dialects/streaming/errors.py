"""How the `streaming` contract words a failure: `{"code", "message", "request_id"}`."""

from typing import Final, assert_never

from starlette.responses import Response

from palaver.dialects.streaming import wire
from palaver.domain.errors import DomainError, ErrorKind, NotFound
from palaver.web.answers import json_answer
from palaver.web.call import Call

_NOT_FOUND: Final = {
    "conversation": "CONVERSATION_NOT_FOUND",
    "message": "MESSAGE_NOT_FOUND",
    "generation": "GENERATION_NOT_FOUND",
    "user": "USER_NOT_FOUND",
    "invite": "INVITE_NOT_FOUND",
    "provider": "PROVIDER_NOT_FOUND",
}
"""What is missing, by its noun; anything else is `NOT_FOUND`."""


def render_error(error: DomainError, call: Call) -> Response:
    """Return a failure with its status."""
    status, code = meaning(error.kind)
    if isinstance(error, NotFound):
        code = _NOT_FOUND.get(error.noun, code)
    return json_answer(wire.Error(code, error.message, call.request_id), status)


def meaning(kind: ErrorKind) -> tuple[int, str]:  # noqa: C901  # one line a kind, no logic
    """Return the status of a kind of failure and its code, which streams use as well."""
    match kind:
        case ErrorKind.UNAUTHENTICATED | ErrorKind.INVALID_TOKEN | ErrorKind.INVALID_REFRESH_TOKEN:
            return 401, "AUTH_REQUIRED"
        case ErrorKind.SESSION_EXPIRED:
            return 401, "SESSION_EXPIRED"
        case ErrorKind.USER_INACTIVE:
            return 401, "USER_INACTIVE"
        case ErrorKind.INVALID_CREDENTIALS:
            return 401, "INVALID_CREDENTIALS"
        case ErrorKind.CSRF_INVALID:
            return 403, "CSRF_INVALID"
        case ErrorKind.FORBIDDEN | ErrorKind.SECOND_FACTOR_REQUIRED:
            return 403, "FORBIDDEN"
        case ErrorKind.ADMIN_REQUIRED:
            return 403, "ADMIN_REQUIRED"
        case ErrorKind.SCOPE_REQUIRED:
            return 403, "SCOPE_REQUIRED"
        case ErrorKind.BOOTSTRAP_DISABLED:
            return 403, "BOOTSTRAP_DISABLED"
        case ErrorKind.INVALID_BOOTSTRAP_TOKEN:
            return 403, "INVALID_BOOTSTRAP_TOKEN"
        case ErrorKind.REGISTRATION_CLOSED:
            return 403, "REGISTRATION_CLOSED"
        case ErrorKind.NOT_FOUND:
            return 404, "NOT_FOUND"
        case ErrorKind.METHOD_NOT_ALLOWED:
            return 405, "METHOD_NOT_ALLOWED"
        case ErrorKind.INVALID_INPUT | ErrorKind.IDEMPOTENCY_MISMATCH:
            return 400, "VALIDATION_ERROR"
        case ErrorKind.PROVIDER_NOT_FOUND:
            return 400, "PROVIDER_NOT_FOUND"
        case ErrorKind.MODEL_NOT_FOUND | ErrorKind.NOT_IN_PLAN:
            return 400, "MODEL_NOT_FOUND"
        case ErrorKind.NO_USER_MESSAGE:
            return 400, "NO_USER_MESSAGE"
        case ErrorKind.INVALID_INVITE:
            return 400, "INVALID_INVITE"
        case ErrorKind.ALREADY_REVOKED:
            return 400, "ALREADY_REVOKED"
        case ErrorKind.USERNAME_TAKEN:
            return 409, "USERNAME_EXISTS"
        case ErrorKind.EMAIL_TAKEN | ErrorKind.CONFLICT:
            return 409, "CONFLICT"
        case ErrorKind.PAYLOAD_TOO_LARGE:
            return 413, "PAYLOAD_TOO_LARGE"
        case ErrorKind.UNSUPPORTED_MEDIA_TYPE:
            return 415, "UNSUPPORTED_MEDIA_TYPE"
        case ErrorKind.QUOTA_EXCEEDED:
            return 429, "QUOTA_EXCEEDED"
        case ErrorKind.RATE_LIMITED | ErrorKind.LOGIN_THROTTLED:
            return 429, "RATE_LIMITED"
        case ErrorKind.BUSY:
            return 503, "UNAVAILABLE"
        case ErrorKind.PROVIDER_UNREACHABLE:
            return 502, "PROVIDER_UNREACHABLE"
        case ErrorKind.PROVIDER_TIMEOUT:
            return 504, "PROVIDER_TIMEOUT"
        case ErrorKind.PROVIDER_OVERLOADED:
            return 503, "PROVIDER_RATE_LIMITED"
        case ErrorKind.PROVIDER_FAILED:
            return 502, "PROVIDER_ERROR"
        case ErrorKind.INTERRUPTED:
            return 502, "INTERRUPTED"
        case ErrorKind.INTERNAL:
            return 500, "INTERNAL_ERROR"
        case _:
            assert_never(kind)
