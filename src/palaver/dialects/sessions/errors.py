"""How the `sessions` contract words a failure: as Django REST framework and Simple JWT do."""

from typing import Final, assert_never

from starlette.responses import Response

from palaver.dialects.sessions import wire
from palaver.domain.accounts import Taken
from palaver.domain.errors import (
    DomainError,
    ErrorKind,
    Fault,
    FieldFault,
    InvalidInput,
    NotFound,
)
from palaver.domain.otp import OneTimeCodeRefused
from palaver.web.answers import json_answer
from palaver.web.bodies import MALFORMED, NUL
from palaver.web.call import Call

WHOLE: Final = "non_field_errors"

_REFUSED: Final = {
    ErrorKind.INVALID_TOKEN: wire.AuthenticationError(
        "Given token not valid for any token type",
        "token_not_valid",
        [wire.TokenProblem("AccessToken", "access", "Token is invalid or expired")],
    ),
    ErrorKind.INVALID_REFRESH_TOKEN: wire.AuthenticationError(
        "Token is invalid or expired", "token_not_valid"
    ),
    ErrorKind.USER_INACTIVE: wire.AuthenticationError("User is inactive", "user_inactive"),
}
"""What is wrong with a token that was sent."""


def render_error(error: DomainError, call: Call) -> Response:
    """Return a failure with its status."""
    if (fields := _fields(error)) is not None:
        return json_answer(fields, 400)
    if error.kind in _REFUSED:
        return json_answer(_REFUSED[error.kind], 401)
    status, words = meaning(error.kind)
    return json_answer(wire.Error(_detail(error, call) or words.format(error.message)), status)


def render_login_error(error: DomainError, call: Call) -> Response:
    """Return a failure of "User Login": where there is no token yet, it is not the token's."""
    if error.kind is ErrorKind.USER_INACTIVE:
        return json_answer({WHOLE: ["User account is disabled."]}, 400)
    return render_error(error, call)


def _fields(error: DomainError) -> wire.ValidationError | None:
    """Return what is wrong by field, None where no field is to blame."""
    if isinstance(error, InvalidInput):
        return render_faults(error)
    if isinstance(error, Taken):
        return {field: [_TAKEN[field]] for field in error.fields}
    if error.kind is ErrorKind.IDEMPOTENCY_MISMATCH:
        return {"Idempotency-Key": [error.message]}
    if isinstance(error, OneTimeCodeRefused):
        return {WHOLE: [error.message]}
    if error.kind is ErrorKind.INVALID_CREDENTIALS:
        return {WHOLE: ["Unable to log in with provided credentials."]}
    return None


def _detail(error: DomainError, call: Call) -> str:
    """Return the words of a failure that tell of the request, "" where the kind's do."""
    if isinstance(error, NotFound) and error.noun == "page":
        return "Invalid page."
    if error.kind in {ErrorKind.RATE_LIMITED, ErrorKind.LOGIN_THROTTLED}:
        wait = max(1, error.retry_after_seconds or 1)  # as the header says
        unit = "second" if wait == 1 else "seconds"
        return f"Request was throttled. Expected available in {wait} {unit}."
    if error.kind is ErrorKind.UNSUPPORTED_MEDIA_TYPE:
        given = (call.header(b"content-type") or "").strip()
        return f'Unsupported media type "{given}" in request.'
    return ""


def meaning(kind: ErrorKind) -> tuple[int, str]:  # noqa: C901  # one line a kind, no logic
    """Return the status of a kind of failure and its words; `{}` are the failure's own."""
    match kind:
        case ErrorKind.UNAUTHENTICATED | ErrorKind.SESSION_EXPIRED | ErrorKind.USER_INACTIVE:
            return 401, "Authentication credentials were not provided."
        case ErrorKind.INVALID_TOKEN | ErrorKind.INVALID_REFRESH_TOKEN:
            return 401, "{}"
        case ErrorKind.CSRF_INVALID:
            return 403, "CSRF Failed: {}"
        case ErrorKind.FORBIDDEN | ErrorKind.ADMIN_REQUIRED | ErrorKind.SCOPE_REQUIRED:
            return 403, "You do not have permission to perform this action."
        case ErrorKind.BOOTSTRAP_DISABLED | ErrorKind.INVALID_BOOTSTRAP_TOKEN:
            return 403, "{}"
        case ErrorKind.SECOND_FACTOR_REQUIRED:
            return 403, "{}"
        case ErrorKind.REGISTRATION_CLOSED | ErrorKind.INVALID_INVITE | ErrorKind.NOT_IN_PLAN:
            return 403, "{}"
        case ErrorKind.NOT_FOUND:
            return 404, "Not found."
        case ErrorKind.METHOD_NOT_ALLOWED:
            return 405, "{}"
        case ErrorKind.INVALID_CREDENTIALS | ErrorKind.INVALID_INPUT:
            return 400, "{}"
        case ErrorKind.USERNAME_TAKEN | ErrorKind.EMAIL_TAKEN | ErrorKind.IDEMPOTENCY_MISMATCH:
            return 400, "{}"
        case ErrorKind.PROVIDER_NOT_FOUND | ErrorKind.MODEL_NOT_FOUND:
            return 400, "{}"
        case ErrorKind.NO_USER_MESSAGE | ErrorKind.ALREADY_REVOKED:
            return 400, "{}"
        case ErrorKind.CONFLICT:
            return 409, "{}"
        case ErrorKind.PAYLOAD_TOO_LARGE:
            return 413, "{}"
        case ErrorKind.UNSUPPORTED_MEDIA_TYPE:
            return 415, "{}"
        case ErrorKind.QUOTA_EXCEEDED | ErrorKind.RATE_LIMITED | ErrorKind.LOGIN_THROTTLED:
            return 429, "{}"
        case ErrorKind.PROVIDER_UNREACHABLE | ErrorKind.PROVIDER_FAILED | ErrorKind.INTERRUPTED:
            return 502, "{}"
        case ErrorKind.BUSY | ErrorKind.PROVIDER_OVERLOADED:
            return 503, "{}"
        case ErrorKind.PROVIDER_TIMEOUT:
            return 504, "{}"
        case ErrorKind.INTERNAL:
            return 500, "A server error occurred."
        case _:
            assert_never(kind)


def render_faults(error: InvalidInput) -> wire.ValidationError:
    """Return every wrong field with what is wrong with it."""
    fields: dict[str, list[str]] = {}
    for fault in error.faults:
        if fault.fault is Fault.MALFORMED:
            reason = fault.message.removeprefix(MALFORMED).rstrip(".")
            return {"detail": f"JSON parse error - {reason}"}
        name = WHOLE if len(fault.path) == 1 else fault.field
        fields.setdefault(_NAMES.get(name, name), []).append(_words(fault))
    return dict(fields)


# What this contract calls it.
_NAMES: Final = {"content": "message"}
_TAKEN: Final = {
    "username": "A user with that username already exists.",
    "email": "A user with that email already exists.",
    "phone_number": "A user with that phone number already exists.",
}
_FORMATS: Final = {
    "username": "Enter a valid username. This value may contain only letters, numbers, "
    "and @/./+/-/_ characters.",
    "email": "Enter a valid email address.",
}


def _words(fault: FieldFault) -> str:  # noqa: C901  # one line a fault, no logic
    """Return what is wrong with one field."""
    match fault.fault:
        case Fault.MISSING:
            return "This field is required."
        case Fault.NULL:
            return "This field may not be null."
        case Fault.BLANK:
            return "This field may not be blank."
        case Fault.WRONG_TYPE if fault.expected == "object":
            if fault.given == "NoneType":
                return "No data provided"
            return f"Invalid data. Expected a dictionary, but got {fault.given}."
        case Fault.WRONG_TYPE if fault.expected.startswith("str"):
            return "Not a valid string."
        case Fault.TOO_LONG if fault.field != "content":  # which is counted in tokens
            return f"Ensure this field has no more than {fault.limit} characters."
        case Fault.TOO_SHORT if fault.field == "password":
            return f"This password is too short. It must contain at least {fault.limit} characters."
        case Fault.TOO_SHORT:
            return f"Ensure this field has at least {fault.limit} characters."
        case Fault.TOO_SMALL:
            return f"Ensure this value is greater than or equal to {fault.limit}."
        case Fault.TOO_LARGE:
            return f"Ensure this value is less than or equal to {fault.limit}."
        case Fault.NOT_ALLOWED if fault.message == NUL:
            return "Null characters are not allowed."
        case Fault.WRONG_FORMAT:
            return _FORMATS.get(fault.field, fault.message)
        case Fault.NOT_ALLOWED | Fault.WRONG_TYPE | Fault.TOO_LONG | Fault.MALFORMED:
            return fault.message
        case _:
            assert_never(fault.fault)
