"""Who calls: one authentication for all contracts. A bearer that is sent decides alone."""

from urllib.parse import urlsplit

from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.users import Actor
from palaver.web.call import SESSION_COOKIE, Call
from palaver.web.endpoint import Access, Csrf, Endpoint

CSRF_HEADERS = (b"x-csrf-token", b"x-csrftoken")


async def authenticate(call: Call, endpoint: Endpoint) -> None:
    """Set `call.actor`, and check that it may call this endpoint.

    Raises `DomainError`: `UNAUTHENTICATED`, `SESSION_EXPIRED`, `INVALID_TOKEN`, `USER_INACTIVE`,
    `CSRF_INVALID`, `ADMIN_REQUIRED`.
    """
    if endpoint.access is Access.PUBLIC:
        call.actor = Actor.anonymous(call.client)
        return
    await _identify(call)
    if call.cookie_token is not None and endpoint.changes:
        check_csrf(call, call.cookie_token, endpoint.csrf)
    if endpoint.access is Access.ADMIN:
        call.actor.require_admin()


async def _identify(call: Call) -> None:
    bearer = bearer_of(call)
    if bearer is not None:
        call.actor = await call.services.sessions.authenticate_token(bearer, call.client)
        return
    cookie = call.request.cookies.get(SESSION_COOKIE)
    if not cookie:
        raise DomainError(
            "Authentication credentials were not provided.", kind=ErrorKind.UNAUTHENTICATED
        )
    call.actor = await call.services.sessions.authenticate_cookie(cookie, call.client)
    call.cookie_token = cookie


def bearer_of(call: Call) -> str | None:
    """Return what the `Authorization` header bears, None if there is no such header."""
    header = call.header(b"authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def check_csrf(call: Call, cookie: str, rule: Csrf) -> None:
    """Raise `DomainError` (`CSRF_INVALID`) unless our own page sent this request."""
    if is_foreign(call):
        raise DomainError("This request comes from another site.", kind=ErrorKind.CSRF_INVALID)
    given = next((value for name in CSRF_HEADERS if (value := call.header(name))), None)
    if given is None and rule is Csrf.OPTIONAL:
        return
    if given is None or not call.services.sessions.is_csrf_token(cookie, given):
        raise DomainError(
            "The CSRF token is missing or wrong: send the cookie `csrftoken` as X-CSRF-Token.",
            kind=ErrorKind.CSRF_INVALID,
        )


def is_foreign(call: Call) -> bool:
    """Tell whether a browser says that another site made this request."""
    origin = call.header(b"origin")
    if origin in call.settings.allowed_origins:
        return False
    if call.header(b"sec-fetch-site") == "cross-site":
        return True
    return origin is not None and urlsplit(origin)[:2] != urlsplit(call.origin)[:2]
