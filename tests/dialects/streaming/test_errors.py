"""Every kind of failure has its status and its code, none of them by accident."""

import pytest

from palaver.dialects.streaming.errors import meaning
from palaver.domain.errors import ErrorKind

DECIDED = {
    401: "AUTH_REQUIRED SESSION_EXPIRED USER_INACTIVE INVALID_CREDENTIALS",
    403: "CSRF_INVALID ADMIN_REQUIRED SCOPE_REQUIRED BOOTSTRAP_DISABLED INVALID_BOOTSTRAP_TOKEN "
    "REGISTRATION_CLOSED FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    400: "VALIDATION_ERROR PROVIDER_NOT_FOUND MODEL_NOT_FOUND NO_USER_MESSAGE INVALID_INVITE "
    "ALREADY_REVOKED",
    409: "USERNAME_EXISTS CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "QUOTA_EXCEEDED RATE_LIMITED",
    500: "INTERNAL_ERROR",
    502: "PROVIDER_UNREACHABLE PROVIDER_ERROR INTERRUPTED",
    503: "PROVIDER_RATE_LIMITED UNAVAILABLE",
    504: "PROVIDER_TIMEOUT",
}
STATUS = {code: status for status, codes in DECIDED.items() for code in codes.split()}


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_a_kind_has_a_decided_code_and_its_status(kind: ErrorKind) -> None:
    status, code = meaning(kind)
    assert STATUS[code] == status


def test_no_decided_code_is_forgotten() -> None:
    assert {meaning(kind)[1] for kind in ErrorKind} == set(STATUS)
