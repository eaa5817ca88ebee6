"""The `companion` contract: bearer tokens, uuids, answers that one waits for or streams."""

from typing import Final

from palaver.dialects.companion import wire
from palaver.dialects.companion.errors import render_error
from palaver.dialects.companion.routes import ENDPOINTS
from palaver.web.endpoint import Dialect

DIALECT: Final = Dialect(
    name="companion",
    title="Companion",
    endpoints=ENDPOINTS,
    render_error=render_error,
    error_shapes={
        **dict.fromkeys((400, 401, 403, 404, 405, 409, 413, 415, 429), wire.Error),
        422: wire.ValidationError,
        **dict.fromkeys((500, 502, 503, 504), wire.Error),
    },
    description=(
        "Get a token at `POST /token`, by JSON or by the form of OAuth2, and send it as "
        "`Authorization: Bearer …`."
    ),
)
