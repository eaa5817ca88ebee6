"""The `platform` contract: chats by bearer token, completions, rate limits."""

from typing import Final

from palaver.dialects.platform.errors import render_error
from palaver.dialects.platform.routes import ENDPOINTS
from palaver.dialects.platform.wire import Error
from palaver.web.endpoint import Dialect
from palaver.web.rates import RATE_HEADERS

STATUSES: Final = (400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 502, 503, 504)

DIALECT: Final = Dialect(
    name="platform",
    title="Platform",
    endpoints=ENDPOINTS,
    render_error=render_error,
    error_shapes=dict.fromkeys(STATUSES, Error),
    strays=("/api/v1/",),
    headers=RATE_HEADERS,
    is_rate_limited=True,
    description=(
        "Get a token at `POST /api/v1/auth/login`, and send it as `Authorization: Bearer …`. "
        "Requests are limited in each minute and in each hour; three headers tell what is left."
    ),
)
