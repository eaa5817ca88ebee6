"""What goes back: JSON in a contract's shape, cookies, and the headers that every answer bears."""

from http.cookies import SimpleCookie
from typing import Any, Final

import msgspec
from starlette.responses import Response

from palaver.web.call import (
    CSRF_COOKIE,
    DEVICE_COOKIE,
    FORM_COOKIE,
    SESSION_COOKIE,
    SIGN_ON_COOKIE,
    Call,
)

HEADERS: Final = ("x-request-id", "retry-after")
"""What scripts may want to read of any answer, beside its body."""

COOKIE_SECONDS: Final = 400 * 24 * 3600
"""The most that browsers keep. When a session ends is the server's to say: it slides with use."""

POLICY: Final = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox"
"""For what is no page: should a browser ever show it as one, it can do nothing."""

_SAFE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", POLICY.encode()),
)
"""What every answer bears that does not know better: `ui` and `web.html` do."""

_SAFE_NAMES: Final = frozenset(name for name, _ in _SAFE)

_encode = msgspec.json.Encoder(decimal_format="string").encode


def json_answer(value: Any, status: int = 200) -> Response:
    """Encode a shape as the body of an answer."""
    return Response(_encode(value), status, media_type="application/json")


def wants_json(call: Call) -> bool:
    """Tell whether JSON is asked for and a page is not."""
    accepted = call.header(b"accept") or ""
    return "json" in accepted and "text/html" not in accepted


def wants_page(call: Call) -> bool:
    """Tell whether a browser shows the answer to a person."""
    return "text/html" in (call.header(b"accept") or "")


def finish(call: Call, response: Response) -> Response:
    """Give an answer its request id, when to try again, what browsers must know, and cookies."""
    headers = response.raw_headers
    headers.append((b"x-request-id", call.request_id.encode()))
    given = {name for name, _ in headers} & _SAFE_NAMES
    headers += [header for header in _SAFE if header[0] not in given] if given else _SAFE
    if call.is_secure and call.settings.hsts:
        headers.append((b"strict-transport-security", call.settings.hsts.encode()))
    if response.status_code in {429, 503}:
        response.headers.setdefault("retry-after", "1")
    for cookie in call.new_cookies:
        response.headers.append("set-cookie", cookie)
    return response


def set_session_cookies(call: Call, *, token: str, csrf_token: str) -> None:
    """Sign this browser in: the session for us alone, the CSRF token for scripts as well."""
    _set(call, SESSION_COOKIE, token, max_age=COOKIE_SECONDS, script_readable=False)
    _set(call, CSRF_COOKIE, csrf_token, max_age=COOKIE_SECONDS, script_readable=True)


def set_form_cookies(call: Call, *, seed: str, csrf_token: str) -> None:
    """Let this browser send forms before it signs in; the CSRF token belongs to the seed."""
    _set(call, FORM_COOKIE, seed, max_age=COOKIE_SECONDS, script_readable=False)
    _set(call, CSRF_COOKIE, csrf_token, max_age=COOKIE_SECONDS, script_readable=True)


def set_device_cookie(call: Call, device: str) -> None:
    """Remember this browser, so that nobody else's wrong passwords lock it out."""
    _set(call, DEVICE_COOKIE, device, max_age=COOKIE_SECONDS, script_readable=False)


def set_sign_on_cookie(call: Call, value: str, *, seconds: int) -> None:
    """Let this browser alone finish the single sign-on that it has begun."""
    _set(call, _sign_on_name(call), value, max_age=seconds, script_readable=False)


def sign_on_cookie(call: Call) -> str:
    """Return the secret of the single sign-ons that this browser has begun, "" for none."""
    return call.request.cookies.get(_sign_on_name(call), "")


def _sign_on_name(call: Call) -> str:
    # With the prefix no neighbour on a sister domain can set it (RFC 6265bis, 4.1.3.2).
    return f"__Host-{SIGN_ON_COOKIE}" if call.is_secure else SIGN_ON_COOKIE


def clear_session_cookies(call: Call) -> None:
    """Sign this browser out."""
    _set(call, SESSION_COOKIE, "", max_age=0, script_readable=False)
    _set(call, CSRF_COOKIE, "", max_age=0, script_readable=True)


def _set(call: Call, name: str, value: str, *, max_age: int, script_readable: bool) -> None:
    cookie: SimpleCookie = SimpleCookie()
    cookie[name] = value
    morsel = cookie[name]
    morsel["path"] = "/"
    morsel["max-age"] = max_age
    morsel["httponly"] = not script_readable
    cross_site = call.settings.cookies_cross_site
    morsel["samesite"] = "None" if cross_site else "Lax"
    morsel["secure"] = cross_site or call.is_secure
    call.new_cookies.append(morsel.OutputString())
