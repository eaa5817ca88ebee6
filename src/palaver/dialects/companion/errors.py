"""How the `companion` contract words a failure: `{"detail"}`, for people or by field."""

from typing import Final, assert_never

from starlette.responses import Response

from palaver.dialects.companion import wire
from palaver.domain.errors import DomainError, ErrorKind, Fault, FieldFault, InvalidInput
from palaver.domain.otp import OneTimeCodeRefused
from palaver.web.answers import json_answer
from palaver.web.call import Call


def render_token_error(error: DomainError, call: Call) -> Response:
    """Return a failure of "Token": at the door these credentials are no good, later the token."""
    if error.kind is ErrorKind.USER_INACTIVE:
        return json_answer(wire.Error("Inactive user"), 400)
    return render_error(error, call)


def render_error(error: DomainError, call: Call) -> Response:  # noqa: ARG001  # what a contract gets
    """Return a failure with its status."""
    if isinstance(error, InvalidInput):
        problems = [render_fault(fault) for fault in error.faults]
        return json_answer(wire.ValidationError(problems), 422)
    if error.kind is ErrorKind.IDEMPOTENCY_MISMATCH:
        problem = wire.Problem(["header", "Idempotency-Key"], error.message, "value_error")
        return json_answer(wire.ValidationError([problem]), 422)
    status, detail = meaning(error.kind)
    if isinstance(error, OneTimeCodeRefused):
        detail = error.message
    return json_answer(wire.Error(detail or error.message), status)


def meaning(kind: ErrorKind) -> tuple[int, str]:  # noqa: C901  # one line a kind, no logic
    """Return the status of a kind of failure and its words, "" for the failure's own."""
    match kind:
        case ErrorKind.UNAUTHENTICATED | ErrorKind.SESSION_EXPIRED | ErrorKind.INVALID_TOKEN:
            return 401, "Could not validate credentials"
        case ErrorKind.INVALID_REFRESH_TOKEN | ErrorKind.USER_INACTIVE:
            return 401, "Could not validate credentials"
        case ErrorKind.INVALID_CREDENTIALS:
            return 400, "Incorrect username or password"
        case ErrorKind.CSRF_INVALID | ErrorKind.FORBIDDEN | ErrorKind.ADMIN_REQUIRED:
            return 403, ""
        case ErrorKind.SCOPE_REQUIRED | ErrorKind.BOOTSTRAP_DISABLED | ErrorKind.NOT_IN_PLAN:
            return 403, ""
        case ErrorKind.INVALID_BOOTSTRAP_TOKEN | ErrorKind.REGISTRATION_CLOSED:
            return 403, ""
        case ErrorKind.SECOND_FACTOR_REQUIRED:
            return 403, ""
        case ErrorKind.NOT_FOUND:
            return 404, "Resource not found"
        case ErrorKind.METHOD_NOT_ALLOWED:
            return 405, "Method Not Allowed"
        case ErrorKind.INVALID_INPUT | ErrorKind.IDEMPOTENCY_MISMATCH:
            return 422, ""
        case ErrorKind.PROVIDER_NOT_FOUND | ErrorKind.MODEL_NOT_FOUND:
            return 400, ""
        case ErrorKind.NO_USER_MESSAGE | ErrorKind.INVALID_INVITE | ErrorKind.ALREADY_REVOKED:
            return 400, ""
        case ErrorKind.USERNAME_TAKEN | ErrorKind.EMAIL_TAKEN | ErrorKind.CONFLICT:
            return 409, ""
        case ErrorKind.PAYLOAD_TOO_LARGE:
            return 413, ""
        case ErrorKind.UNSUPPORTED_MEDIA_TYPE:
            return 415, ""
        case ErrorKind.QUOTA_EXCEEDED | ErrorKind.RATE_LIMITED | ErrorKind.LOGIN_THROTTLED:
            return 429, ""
        case ErrorKind.PROVIDER_UNREACHABLE | ErrorKind.PROVIDER_FAILED | ErrorKind.INTERRUPTED:
            return 502, ""
        case ErrorKind.BUSY | ErrorKind.PROVIDER_OVERLOADED:
            return 503, ""
        case ErrorKind.PROVIDER_TIMEOUT:
            return 504, ""
        case ErrorKind.INTERNAL:
            return 500, "Internal server error"
        case _:
            assert_never(kind)


def render_fault(fault: FieldFault) -> wire.Problem:
    """Return one wrong field in the words of pydantic, which this contract's clients know."""
    type_, message = _words(fault)
    return wire.Problem(list(_PLACES.get(fault.path, fault.path)), message, type_)


# The prompt as a whole was too long: no field of this contract is called `content`.
_PLACES: Final[dict[tuple[str | int, ...], tuple[str | int, ...]]] = {
    ("body", "content"): ("body", "messages")
}
_TYPES: Final = {
    "str": ("string_type", "Input should be a valid string"),
    "int": ("int_type", "Input should be a valid integer"),
    "bool": ("bool_type", "Input should be a valid boolean"),
    "array": ("list_type", "Input should be a valid list"),
    "object": (
        "model_attributes_type",
        "Input should be a valid dictionary or object to extract fields from",
    ),
    "uuid": ("uuid_type", "UUID input should be a string, bytes or UUID object"),
}
_NO_INTEGER: Final = "Input should be a valid integer, unable to parse string as an integer"


def _words(fault: FieldFault) -> tuple[str, str]:  # noqa: C901  # one line a fault, no logic
    """Return pydantic's type and message. What the decoder did not find speaks for itself."""
    match fault.fault:
        case Fault.MISSING:
            return "missing", "Field required"
        case Fault.MALFORMED:
            return "json_invalid", "JSON decode error"
        case Fault.NULL | Fault.WRONG_TYPE:
            if fault.path[0] == "query":
                return "int_parsing", _NO_INTEGER
            return _TYPES.get(fault.expected.partition(" ")[0], ("value_error", fault.message))
        case Fault.BLANK if fault.expected == "array":
            return "too_short", "List should have at least 1 item after validation, not 0"
        case Fault.BLANK:
            return "string_too_short", "String should have at least 1 character"
        case Fault.TOO_SHORT:
            return "string_too_short", fault.message
        case Fault.TOO_LONG:
            return "string_too_long", fault.message
        case Fault.TOO_SMALL:
            return "greater_than_equal", f"Input should be greater than or equal to {fault.limit}"
        case Fault.TOO_LARGE:
            return "less_than_equal", f"Input should be less than or equal to {fault.limit}"
        case Fault.NOT_ALLOWED if fault.expected:
            return "literal_error", f"Input should be {_choice(fault.expected)}"
        case Fault.WRONG_FORMAT if fault.expected == "uuid":
            return "uuid_parsing", "Input should be a valid UUID"
        case Fault.NOT_ALLOWED | Fault.WRONG_FORMAT:
            return "value_error", f"Value error, {fault.message}"
        case _:
            assert_never(fault.fault)


def _choice(permitted: str) -> str:
    """Turn `user, assistant, system` into `'user', 'assistant' or 'system'`."""
    *others, last = [f"'{value}'" for value in permitted.split(", ")]
    return f"{', '.join(others)} or {last}" if others else last
