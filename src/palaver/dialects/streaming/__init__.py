"""The `streaming` contract: conversations by session cookie, answers as server-sent events."""

from typing import Final

from palaver.dialects.streaming.errors import render_error
from palaver.dialects.streaming.routes import ENDPOINTS
from palaver.dialects.streaming.wire import Error
from palaver.web.endpoint import Dialect

STATUSES: Final = (400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 502, 503, 504)

DIALECT: Final = Dialect(
    name="streaming",
    title="Streaming",
    endpoints=ENDPOINTS,
    render_error=render_error,
    error_shapes=dict.fromkeys(STATUSES, Error),
    strays=("/conversations", "/auth/", "/admin/", "/providers", "/chat/cancel", "/chat/retry"),
    signs_in_by="cookie",
    description=(
        "Sign in at `POST /auth/login`: the answer sets the session cookie and holds the CSRF "
        "token, which goes into `X-CSRF-Token` with every request that changes something."
    ),
)
