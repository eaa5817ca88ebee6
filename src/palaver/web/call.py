"""One request as a handler sees it: who calls, and with which services."""

import re
from typing import Final

from starlette.requests import Request

from palaver.domain.rates import Allowance
from palaver.domain.users import Actor, Client
from palaver.services.services import Services
from palaver.web.bodies import read_body
from palaver.web.settings import WebSettings

SESSION_COOKIE: Final = "palaver_session"
CSRF_COOKIE: Final = "csrftoken"
DEVICE_COOKIE: Final = "palaver_device"
FORM_COOKIE: Final = "palaver_form"
SIGN_ON_COOKIE: Final = "palaver_sign_on"

_NOBODY: Final = Actor()
_HOST: Final = re.compile(r"[\w.\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?", re.ASCII)
"""RFC 3986, 3.2.2, without what nobody names a host."""


class Call:
    """The request, its caller and the services; made once per request, never shared."""

    __slots__ = (
        "_content",
        "_headers",
        "actor",
        "allowance",
        "cookie_token",
        "new_cookies",
        "request",
        "request_id",
        "resumes",
        "services",
        "settings",
    )

    def __init__(
        self, request: Request, services: Services, settings: WebSettings, *, request_id: str
    ) -> None:
        self.request = request
        self.services = services
        self.settings = settings
        self.request_id = request_id
        self.actor = _NOBODY
        self.allowance: Allowance | None = None  # what the rate limits leave, once it is counted
        self.cookie_token: str | None = None  # the session cookie, when it decided who calls
        self.resumes: str | None = None  # the generation that a repeated Idempotency-Key began
        self.new_cookies: list[str] = []  # `Set-Cookie` values that go out with the answer
        self._content: bytes | None = None
        self._headers: dict[bytes, bytes] = dict(request.scope["headers"])

    async def content(self, *, max_bytes: int) -> bytes:
        """Return the whole body, read once; raises `DomainError` (`PAYLOAD_TOO_LARGE`)."""
        if self._content is None:
            self._content = await read_body(self.request, max_bytes=max_bytes)
        return self._content

    def header(self, name: bytes) -> str | None:
        """Return a request header by its lower-case name; of several the last one."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def client(self) -> Client:
        """Return where the request comes from."""
        peer = self.request.scope.get("client")
        return Client(
            address=peer[0] if peer else "",
            user_agent=(self.header(b"user-agent") or "")[:500],
            device=self.request.cookies.get(DEVICE_COOKIE, ""),
        )

    @property
    def origin(self) -> str:
        """Return our own origin as this client sees it: `https://chat.example.org`."""
        if self.settings.public_url:
            return self.settings.public_url
        host = self.header(b"host") or ""
        if not _HOST.fullmatch(host):  # it goes into links: nothing else may stand in it
            host = "localhost"
        return f"{self.request.scope['scheme']}://{host}"

    @property
    def is_secure(self) -> bool:
        """Tell whether the client reached us by HTTPS."""
        return self.origin.startswith("https:")
