"""Setting up: the form that makes the first administrator. It works once."""

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import RedirectResponse, Response

from palaver.domain.accounts import USERNAME_MAX_LENGTH, Taken
from palaver.domain.errors import DomainError, ErrorKind, InvalidInput
from palaver.domain.users import SYSTEM
from palaver.web.answers import set_device_cookie, set_session_cookies
from palaver.web.authentication import is_foreign
from palaver.web.call import Call
from palaver.web.forms import by_field, field, hidden, password_field, password_hint, summary
from palaver.web.html import Html, fill, joined, page

# The token stands in the address of the page. (With no referrer at all, browsers would send
# `Origin: null` with the form.)
_HEADERS: Final = {"cache-control": "no-store"}

_MAIN: Final = """\
<main class="page">
<header>
<h1>Set up Palaver</h1>
<p class="lead">Make the account of the first administrator. This works once.</p>
</header>
<form class="card form" method="post" action="/app/setup">
{summary}
{fields}
<div class="actions"><button class="button" type="submit">Create the administrator</button></div>
</form>
</main>"""

_DONE: Final = """\
<main class="page">
<header>
<h1>{title}</h1>
<p class="lead">{text}</p>
</header>
<div class="actions"><a class="button" href="/">To the front page</a></div>
</main>"""


class SetupForm(msgspec.Struct, frozen=True):
    """What the form sends."""

    token: str = ""
    username: str = ""
    password: str = ""
    password_again: str = ""


async def show(call: Call, *, token: str = "") -> Response:
    """Show the form, the token already in it where the address has one. No contract: ours."""
    if (closed := await _closed(call)) is not None:
        return closed
    return _form(call, SetupForm(token=token), {}, status=200)


async def submit(call: Call, body: SetupForm) -> Response:
    """Make the administrator and sign them in. No contract: ours."""
    if is_foreign(call):
        # The token proves that whoever fills in the form may; this, that they meant to.
        raise DomainError("This form was sent by another site.", kind=ErrorKind.CSRF_INVALID)
    if (closed := await _closed(call)) is not None:
        return closed
    if body.password != body.password_again:
        return _form(call, body, {"password_again": "The two passwords differ."}, status=400)
    try:
        sign_in = await call.services.registrations.bootstrap(
            call.actor, token=body.token.strip(), username=body.username, password=body.password
        )
    except DomainError as error:
        return _refused(call, body, error)
    set_session_cookies(call, token=sign_in.cookie, csrf_token=sign_in.csrf_token)
    set_device_cookie(call, sign_in.device)
    return RedirectResponse("/", 303)


def _refused(call: Call, body: SetupForm, error: DomainError) -> Response:
    """Return the form with what is wrong beside each field. Raises what no form can mend."""
    if isinstance(error, InvalidInput):
        return _form(call, body, by_field(error.faults), status=400)
    if isinstance(error, Taken):
        return _form(call, body, dict.fromkeys(error.fields, error.message), status=400)
    if error.kind is ErrorKind.INVALID_BOOTSTRAP_TOKEN:
        return _form(call, body, {"token": error.message}, status=403)
    raise error


async def _closed(call: Call) -> Response | None:
    """Return the page that says why there is nothing to set up, None where there is."""
    registrations = call.services.registrations
    if await registrations.has_administrator(SYSTEM):
        title, text = "Already set up", "There is an administrator. Others are made by them."
    elif not registrations.policy.bootstrap_token:
        title = "Setting up is switched off"
        text = "PALAVER_BOOTSTRAP_TOKEN is empty. Give it a value, and start the server again."
    else:
        return None
    main = fill(_DONE, title=title, text=text)
    return page(title, main, status=403, headers=_HEADERS)


def _form(call: Call, body: SetupForm, faults: Mapping[str, str], *, status: int) -> Response:
    policy = call.services.registrations.policy.password_policy
    fields = [
        _token_field(body.token, faults),
        field(
            "username",
            "User name",
            faults,
            type="text",
            value=body.username,
            autocomplete="username",
            autocapitalize="none",
            spellcheck="false",
            maxlength=USERNAME_MAX_LENGTH,
            required=True,
            autofocus=True,
        ),
        password_field("password", "Password", faults, hint=password_hint(policy)),
        password_field("password_again", "Password, once more", faults),
    ]
    said = "Nothing was made yet: see below." if faults else ""
    main = fill(_MAIN, summary=summary(said), fields=joined(fields))
    title = "Set up" if not faults else "Error: Set up"
    return page(title, main, status=status, headers=_HEADERS)


def _token_field(token: str, faults: Mapping[str, str]) -> Html:
    if token and "token" not in faults:
        return hidden("token", token)
    return field(
        "token",
        "Token",
        faults,
        hint="The end of the link that the server printed when it started.",
        type="text",
        value=token,
        autocomplete="off",
        spellcheck="false",
        required=True,
    )
