"""Who calls: one authentication for all contracts. A bearer that is sent decides alone."""

import re
from ipaddress import ip_address
from typing import Final

from palaver.domain.api_keys import MARK
from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.users import Actor
from palaver.web.bodies import FORM, form_fields
from palaver.web.call import SESSION_COOKIE, Call
from palaver.web.endpoint import Access, Csrf, Endpoint
from palaver.web.scopes import check_scopes

CSRF_HEADERS: Final = (b"x-csrf-token", b"x-csrftoken")
CSRF_FIELD: Final = "csrf_token"
_ORIGIN: Final = re.compile(r"(https?)://([^][:/?#@\s]+|\[[0-9a-f:.]+\])(:[0-9]+)?")
_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


async def authenticate(call: Call, endpoint: Endpoint) -> None:
    """Set `call.actor`, and check that it may call this endpoint.

    Raises `DomainError`: `UNAUTHENTICATED`, `SESSION_EXPIRED`, `INVALID_TOKEN`, `USER_INACTIVE`,
    `CSRF_INVALID`, `SCOPE_REQUIRED`, `FORBIDDEN`, `ADMIN_REQUIRED`, `SECOND_FACTOR_REQUIRED`.
    """
    if endpoint.access is Access.PUBLIC or (endpoint.is_for_monitors and is_monitor(call)):
        call.actor = Actor.anonymous(call.client)
        return
    await identify(call)
    if call.cookie_token is not None and endpoint.changes:
        await check_csrf(call, call.cookie_token, endpoint)
    check_scopes(call.actor, endpoint)
    if endpoint.access is Access.ADMIN:
        call.actor.require_admin()
    if call.actor.must_enrol and not endpoint.lets_enrol:
        raise DomainError(
            "This account needs a second factor first: set one up at /app/second-factor.",
            kind=ErrorKind.SECOND_FACTOR_REQUIRED,
        )


def is_monitor(call: Call) -> bool:
    """Tell whether a request comes from where somebody watches the server."""
    if not call.settings.metrics_allow:
        return False
    try:
        address = ip_address(call.client.address)
    except ValueError:  # of a proxy's making
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in call.settings.metrics_allow)


async def identify(call: Call) -> None:
    """Set `call.actor` by the credential of this request. Raises as `authenticate` does."""
    bearer = bearer_of(call)
    if bearer is not None and bearer.startswith(MARK):
        call.actor = await call.services.api_keys.authenticate(bearer, call.client)
        return
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
    """Return the bearer token of the `Authorization` header; None when it bears none.

    Any other scheme is not for us: a reverse proxy with a password of its own passes `Basic` on.
    """
    scheme, _, token = (call.header(b"authorization") or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def check_csrf(call: Call, cookie: str, endpoint: Endpoint) -> None:
    """Raise `DomainError` (`CSRF_INVALID`) unless our own page sent this request."""
    if is_foreign(call):
        raise DomainError("This request comes from another site.", kind=ErrorKind.CSRF_INVALID)
    given = await _csrf_token(call, endpoint)
    if given is None and endpoint.csrf is Csrf.OPTIONAL:
        return
    if given is None or not call.services.sessions.is_csrf_token(cookie, given):
        raise DomainError(
            "The CSRF token is missing or wrong: send the cookie `csrftoken` as X-CSRF-Token.",
            kind=ErrorKind.CSRF_INVALID,
        )


async def _csrf_token(call: Call, endpoint: Endpoint) -> str | None:
    """Return what a script sent in a header, or a form in its field."""
    for name in CSRF_HEADERS:
        if (value := call.header(name)) is not None:
            return value
    if (call.header(b"content-type") or "").partition(";")[0].strip().lower() != FORM:
        return None
    content = await call.content(max_bytes=endpoint.max_bytes)
    return form_fields(content).get(CSRF_FIELD) or None


def is_foreign(call: Call) -> bool:
    """Tell whether a browser says that another site made this request."""
    given = call.header(b"origin")
    origin = None if given is None else _normal(given)
    if origin in call.settings.allowed_origins:
        return False
    if call.header(b"sec-fetch-site") == "cross-site":
        return True
    return given is not None and (origin is None or origin != _normal(call.origin))


def _normal(origin: str) -> str | None:
    """Return an origin as browsers write it (RFC 6454, 6.2), None where it is none."""
    if (match := _ORIGIN.fullmatch(origin.lower())) is None:
        return None
    scheme, host, port = match.groups()
    return f"{scheme}://{host}" + ("" if port in {None, _DEFAULT_PORTS[scheme]} else port)
