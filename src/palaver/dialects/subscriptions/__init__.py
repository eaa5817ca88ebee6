"""The `subscriptions` contract: sessions with chatbots and models, within the limits of a plan."""

from typing import Final

from palaver.dialects.subscriptions import wire
from palaver.dialects.subscriptions.errors import render_error
from palaver.dialects.subscriptions.routes import ENDPOINTS
from palaver.web.endpoint import Dialect

STATUSES: Final = (400, 401, 403, 404, 405, 409, 413, 415, 500, 502, 503, 504)

DIALECT: Final = Dialect(
    name="subscriptions",
    title="Subscriptions",
    endpoints=ENDPOINTS,
    render_error=render_error,
    error_shapes={**dict.fromkeys(STATUSES, wire.Error), 429: wire.LimitError},
    strays=("/api/",),
    signs_in_by="cookie",
    description=(
        "The session cookie of any login, with the CSRF token of the cookie `csrftoken` in "
        "`X-CSRF-Token` where something changes; bearer tokens work as well."
    ),
)
