"""`Idempotency-Key`: the same request, sent again, gets the first answer and does nothing."""

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from palaver.web.call import Call
from palaver.web.endpoint import Dialect, Endpoint

KEY_MAX_LENGTH = 255


async def once(
    call: Call,
    dialect: Dialect,
    endpoint: Endpoint,
    key: str,
    content: bytes,
    run: Callable[[], Awaitable[Response]],
) -> Response:
    """Run a request at most once per user, route and key; raises as the service does.

    A stream is not kept: its generation is, and a repeat follows that one (`call.resumes`).
    """
    raise NotImplementedError
