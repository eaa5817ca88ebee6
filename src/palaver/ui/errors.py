"""How Palaver words what belongs to no contract: a page, or JSON for whoever asks for it."""

from html import escape
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from palaver.domain.errors import DomainError, ErrorKind
from palaver.ui.html import page
from palaver.web.answers import json_answer
from palaver.web.call import Call

_STATUSES: Final = {
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.SESSION_EXPIRED: 401,
    ErrorKind.CSRF_INVALID: 403,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.METHOD_NOT_ALLOWED: 405,
    ErrorKind.INVALID_INPUT: 400,
    ErrorKind.PAYLOAD_TOO_LARGE: 413,
    ErrorKind.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorKind.LOGIN_THROTTLED: 429,
    ErrorKind.BUSY: 503,
}
"""What a page can meet; everything else would be a fault of ours."""

_TITLES: Final = {
    403: "That came from somewhere else",
    404: "There is nothing here",
    405: "That cannot be done here",
    429: "Not so fast",
    500: "Something went wrong",
    503: "Busy just now",
}
_ADVICE: Final = {
    404: "The address may be mistyped, or what it named may be gone.",
    500: "It has been noted in the server's log, with the request id below.",
    503: "The database is held by somebody else. Try again in a moment.",
}

_MAIN: Final = """\
<main class="page">
<header>
<h1>{title}</h1>
<p class="lead">{advice}</p>
</header>
<div class="actions"><a class="button" href="/">To the front page</a></div>
<p class="soft">{status} · request {request_id}</p>
</main>"""


def render_error(error: DomainError, call: Call) -> Response:
    """Return a failure. Under `/api/` it is always JSON, in the words of whom may be asking."""
    status = _STATUSES.get(error.kind, 500)
    message = error.message if status < 500 else "An unexpected error occurred."
    path: str = call.request.scope["path"]
    if path.startswith("/api/v1/"):
        # Three contracts share this prefix: each finds its own field.
        shape = {"detail": message, "error": error.kind.name.lower(), "message": message}
        return json_answer(shape, status)
    if path.startswith("/api/"):
        return json_answer({"error": HTTPStatus(status).phrase, "detail": message}, status)
    if _wants_json(call):
        return json_answer({"detail": message}, status)
    return _page(call, status, message)


def _page(call: Call, status: int, message: str) -> Response:
    title = _TITLES.get(status, HTTPStatus(status).phrase)
    main = _MAIN.format(
        title=title,
        advice=escape(_ADVICE.get(status, message)),
        status=status,
        request_id=call.request_id,
    )
    return page(title, main, status=status)


def _wants_json(call: Call) -> bool:
    """Tell whether JSON is asked for and a page is not."""
    accepted = call.header(b"accept") or ""
    return "json" in accepted and "text/html" not in accepted
