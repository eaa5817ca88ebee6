"""The `native` contract: Palaver's own, under `/api/palaver/`."""

from typing import Final

from palaver.dialects.native import wire
from palaver.dialects.native.errors import render_error
from palaver.dialects.native.routes import ENDPOINTS
from palaver.web.endpoint import Dialect

DIALECT: Final = Dialect(
    name="native",
    title="Native",
    endpoints=ENDPOINTS,
    render_error=render_error,
    error_shapes=dict.fromkeys(
        (400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 502, 503, 504), wire.Error
    ),
    strays=("/api/palaver/",),
    signs_in_by="cookie",
    description=(
        "Palaver's own contract. The session cookie (with the CSRF token in `X-CSRF-Token` where "
        "something changes) and bearer tokens work alike."
    ),
)
