"""The `sessions` contract: bearer tokens, sessions of chats, as Django REST framework answers."""

from typing import Final

from palaver.dialects.sessions import wire
from palaver.dialects.sessions.errors import render_error
from palaver.dialects.sessions.pages.routes import ROUTES as PAGES
from palaver.dialects.sessions.routes import ENDPOINTS
from palaver.web.endpoint import Dialect

DIALECT: Final = Dialect(
    name="sessions",
    title="Sessions",
    endpoints=(*PAGES, *ENDPOINTS),
    render_error=render_error,
    error_shapes={
        400: wire.ValidationError,
        401: wire.AuthenticationError,
        **dict.fromkeys((403, 404, 405, 409, 413, 415, 429, 500, 502, 503, 504), wire.Error),
    },
    description=(
        "Get tokens at `POST /api/v1/auth/login/`, and send the access token as "
        "`Authorization: Bearer …`; it lives an hour."
    ),
)
