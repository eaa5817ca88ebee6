"""Front ends on other origins: which may call, and what of an answer their scripts may read."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from palaver.kit.ids import new_request_id


class Cors(CORSMiddleware):
    """Starlette's, whose answers to preflights have a request id as all others have."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer whether a request may be made."""
        response = super().preflight_response(request_headers)
        response.headers["x-request-id"] = new_request_id()
        return response
