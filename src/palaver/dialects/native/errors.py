"""How the `native` contract words a failure: `{"code", "message", "request_id", "fields"?}`."""

from typing import assert_never

from msgspec import UNSET, UnsetType
from starlette.responses import Response

from palaver.dialects.native import wire
from palaver.dialects.native.account_wire import PASSWORDS
from palaver.dialects.native.admin_wire import NAMES
from palaver.domain.errors import DomainError, ErrorKind, InvalidInput
from palaver.web.answers import json_answer
from palaver.web.call import Call


def render_error(error: DomainError, call: Call) -> Response:
    """Return a failure with its status; its code is the name of its kind."""
    fields: dict[str, str] | UnsetType = UNSET
    if isinstance(error, InvalidInput):
        # Of several faults of one field the first is told.
        fields = {fault.field: fault.message for fault in reversed(error.faults)}
    shape = wire.Error(error.kind.name, error.message, call.request_id, fields)
    return json_answer(shape, status_of(error.kind))


def render_admin_error(error: DomainError, call: Call) -> Response:
    """Return a failure of administration, with this contract's words for what is changed."""
    renamed = error.renamed(NAMES) if isinstance(error, InvalidInput) else error
    return render_error(renamed, call)


def render_account_error(error: DomainError, call: Call) -> Response:
    """Return a failure of what concerns oneself, in the words of "Change Password"."""
    renamed = error.renamed(PASSWORDS) if isinstance(error, InvalidInput) else error
    return render_error(renamed, call)


def status_of(kind: ErrorKind) -> int:  # noqa: C901  # one line a kind, no logic
    """Return the status of a kind of failure."""
    match kind:
        case ErrorKind.INVALID_INPUT | ErrorKind.IDEMPOTENCY_MISMATCH | ErrorKind.MODEL_NOT_FOUND:
            return 400
        case ErrorKind.PROVIDER_NOT_FOUND | ErrorKind.NO_USER_MESSAGE | ErrorKind.INVALID_INVITE:
            return 400
        case ErrorKind.ALREADY_REVOKED | ErrorKind.INVALID_CREDENTIALS:
            return 400
        case ErrorKind.UNAUTHENTICATED | ErrorKind.SESSION_EXPIRED | ErrorKind.INVALID_TOKEN:
            return 401
        case ErrorKind.INVALID_REFRESH_TOKEN | ErrorKind.USER_INACTIVE:
            return 401
        case ErrorKind.CSRF_INVALID | ErrorKind.FORBIDDEN | ErrorKind.ADMIN_REQUIRED:
            return 403
        case ErrorKind.SCOPE_REQUIRED | ErrorKind.BOOTSTRAP_DISABLED | ErrorKind.NOT_IN_PLAN:
            return 403
        case ErrorKind.INVALID_BOOTSTRAP_TOKEN | ErrorKind.REGISTRATION_CLOSED:
            return 403
        case ErrorKind.SECOND_FACTOR_REQUIRED:
            return 403
        case ErrorKind.NOT_FOUND:
            return 404
        case ErrorKind.METHOD_NOT_ALLOWED:
            return 405
        case ErrorKind.USERNAME_TAKEN | ErrorKind.EMAIL_TAKEN | ErrorKind.CONFLICT:
            return 409
        case ErrorKind.PAYLOAD_TOO_LARGE:
            return 413
        case ErrorKind.UNSUPPORTED_MEDIA_TYPE:
            return 415
        case ErrorKind.QUOTA_EXCEEDED | ErrorKind.RATE_LIMITED | ErrorKind.LOGIN_THROTTLED:
            return 429
        case ErrorKind.INTERNAL:
            return 500
        case ErrorKind.PROVIDER_UNREACHABLE | ErrorKind.PROVIDER_FAILED | ErrorKind.INTERRUPTED:
            return 502
        case ErrorKind.BUSY | ErrorKind.PROVIDER_OVERLOADED:
            return 503
        case ErrorKind.PROVIDER_TIMEOUT:
            return 504
        case _:
            assert_never(kind)
