"""How Palaver words what belongs to no contract: a page, or JSON for whoever asks for it."""

from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from palaver.domain.errors import DomainError, ErrorKind
from palaver.web.answers import json_answer, wants_json
from palaver.web.call import Call
from palaver.web.html import problem_page

_STATUSES: Final = {
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.SESSION_EXPIRED: 401,
    ErrorKind.INVALID_TOKEN: 401,
    ErrorKind.USER_INACTIVE: 401,
    ErrorKind.ADMIN_REQUIRED: 403,
    ErrorKind.CSRF_INVALID: 403,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.SCOPE_REQUIRED: 403,
    ErrorKind.SECOND_FACTOR_REQUIRED: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.METHOD_NOT_ALLOWED: 405,
    ErrorKind.INVALID_INPUT: 400,
    ErrorKind.PAYLOAD_TOO_LARGE: 413,
    ErrorKind.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorKind.LOGIN_THROTTLED: 429,
    ErrorKind.BUSY: 503,
}
"""What a page can meet; everything else would be a fault of ours."""


def render_error(error: DomainError, call: Call) -> Response:
    """Return a failure. Under `/api/` it is always JSON, in the words of whom may be asking."""
    status = _STATUSES.get(error.kind, 500)
    message = error.message if status < 500 else "An unexpected error occurred."
    path: str = call.request.scope["path"]
    if path.startswith("/api/"):
        return json_answer({"error": HTTPStatus(status).phrase, "detail": message}, status)
    if wants_json(call):
        return json_answer({"detail": message}, status)
    return problem_page(status, message, request_id=call.request_id)
