"""Signing in with an identity provider: there, back, and what is got for it."""

import re
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.responses import RedirectResponse, Response

from palaver.dialects.platform import wire
from palaver.dialects.platform.errors import meaning
from palaver.dialects.platform.errors import render_error as render_contract_error
from palaver.dialects.platform.sso_wire import (
    Address,
    Beginning,
    Challenge,
    ChallengeMethod,
    Exchange,
    State,
)
from palaver.domain.errors import DomainError, InvalidInput
from palaver.domain.identity_providers import Departure
from palaver.kit.clock import SECOND
from palaver.kit.ids import new_secret
from palaver.services.single_sign_on import AWAY_FOR, Arrival, Return
from palaver.web.answers import (
    set_device_cookie,
    set_session_cookies,
    set_sign_on_cookie,
    sign_on_cookie,
    wants_json,
    wants_page,
)
from palaver.web.call import Call
from palaver.web.html import problem_page

CALLBACK: Final = "/api/v1/auth/sso/callback"
LOGIN_PAGE: Final = "/accounts/login/"
"""Where somebody who was on a page of ours is told why it did not work."""

_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}")
# An address with a code in it is for nobody's cache, and for no other site to read.
_HEADERS: Final = {"cache-control": "no-store", "referrer-policy": "no-referrer"}


async def login(
    call: Call,
    *,
    redirect_uri: Address = "",
    provider: str = "",
    state: State = "",
    invite_code: Address = "",
    code_challenge: Challenge = "",
    code_challenge_method: ChallengeMethod = "",  # noqa: ARG001  # there is no other
) -> Beginning | Response:
    """Begin to sign in with an identity provider. Contract: "SSO Login".

    Sends the browser there; whoever asks for JSON gets the address instead. Without a
    `redirect_uri` the browser comes back to Palaver's own pages. A client without this browser's
    cookies sends a `code_challenge` (RFC 7636, S256), and the verifier with the code.
    """
    services = call.services.single_sign_on
    chosen = services.choose(call.actor, provider)
    own = _own_page(call, redirect_uri)
    if own is None:
        services.check_redirect(call.actor, redirect_uri)
    departure = Departure(
        provider_id=chosen.id,
        callback_uri=f"{call.origin}{CALLBACK}",
        target=own or redirect_uri,
        is_own=own is not None,
        client_state=state or None,
        code_challenge=code_challenge or None,
        invite_code=invite_code or None,
    )
    browser = _browser(call) or new_secret()
    begun = await services.begin(call.actor, departure, browser=browser)
    set_sign_on_cookie(call, browser, seconds=AWAY_FOR // SECOND)
    if wants_json(call):
        return Beginning(begun.authorization_url, begun.state)
    return RedirectResponse(begun.authorization_url, 302, _HEADERS)


async def callback(
    call: Call,
    *,
    state: str = "",
    code: str | None = None,
    error: str | None = None,
    iss: str | None = None,
) -> Response:
    """Come back from an identity provider, and go on to where it began. Beyond the document."""
    returned = Return(state=state, code=code, error=error, issuer=iss)
    arrival = await call.services.single_sign_on.finish(
        call.actor, returned, browser=_browser(call)
    )
    if arrival.sign_in is not None:
        cookie, csrf_token = arrival.sign_in.cookie, arrival.sign_in.csrf_token
        set_session_cookies(call, token=cookie, csrf_token=csrf_token)
        set_device_cookie(call, arrival.sign_in.device)
    return RedirectResponse(_onward(arrival, state), 302, _HEADERS)


async def token(call: Call, body: Exchange) -> wire.Tokens:
    """Change the code that came back for tokens, once, within 60 seconds. Beyond the document."""
    sign_in = await call.services.single_sign_on.redeem(
        call.actor, body.code, code_verifier=body.code_verifier
    )
    return wire.Tokens.of(sign_in)


def render_error(error: DomainError, call: Call) -> Response:
    """Return a failure in the contract's shape, or as a page where a browser shows it."""
    if not wants_page(call):
        return render_contract_error(error, call)
    status, _ = meaning(error.kind)
    message = error.message
    if isinstance(error, InvalidInput):
        message = " ".join(fault.message for fault in error.faults)
    title = "Signing in did not work"
    return problem_page(status, message, request_id=call.request_id, title=title)


def _own_page(call: Call, address: str) -> str | None:
    """Return the address if it is one of ours, the front page's for none, else None."""
    home = f"{call.origin}/"
    if not address or address == call.origin:
        return home
    return address if address.startswith(home) else None


def _browser(call: Call) -> str:
    """Return the secret of this browser, "" where it has none that could be ours."""
    given = sign_on_cookie(call)
    return given if _SECRET.fullmatch(given) else ""


def _onward(arrival: Arrival, state: str) -> str:
    departure = arrival.departure
    if arrival.sign_in is not None:
        return departure.target
    if departure.is_own:
        page = urlsplit(departure.target)
        wanted = f"{page.path}?{page.query}" if page.query else page.path
        more = {"next": wanted} if wanted != "/" else {}
        return f"{LOGIN_PAGE}?{urlencode({'refused': arrival.refusal, **more})}"
    if arrival.code is not None:
        given = {"code": arrival.code}
    else:
        given = {"error": arrival.error or "", "error_description": arrival.reason or ""}
    query = urlencode(given | {"state": departure.client_state or state})
    return f"{departure.target}{'&' if urlsplit(departure.target).query else '?'}{query}"
