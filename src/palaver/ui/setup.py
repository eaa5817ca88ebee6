"""Setting up: the form that makes the first administrator. It works once."""

from collections.abc import Mapping
from html import escape
from typing import Final

import msgspec
from starlette.responses import RedirectResponse, Response

from palaver.domain.accounts import Taken
from palaver.domain.errors import DomainError, ErrorKind, InvalidInput
from palaver.domain.passwords import PASSWORD_MIN_LENGTH, STRICT_MIN_LENGTH, PasswordPolicy
from palaver.domain.users import SYSTEM
from palaver.web.answers import set_device_cookie, set_session_cookies
from palaver.web.authentication import is_foreign
from palaver.web.call import Call
from palaver.web.html import page

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
{summary}{fields}
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

_FIELD: Final = """\
<div class="field">
<label for="{name}">{label}</label>
<input id="{name}" name="{name}" {attributes}{described}>
{notes}</div>"""


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
        faults = {fault.field: fault.message for fault in reversed(error.faults)}
        return _form(call, body, faults, status=400)
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
    main = _DONE.format(title=title, text=text)
    return page(title, main, status=403, headers=_HEADERS)


def _form(call: Call, body: SetupForm, faults: Mapping[str, str], *, status: int) -> Response:
    policy = call.services.registrations.policy.password_policy
    is_strict = policy is PasswordPolicy.STRICT
    shortest = STRICT_MIN_LENGTH if is_strict else PASSWORD_MIN_LENGTH
    fields = [
        _token_field(body.token, faults),
        _field(
            "username",
            "User name",
            f'type="text" value="{escape(body.username)}" autocomplete="username" '
            'autocapitalize="none" spellcheck="false" maxlength="150" required autofocus',
            faults,
        ),
        _field(
            "password",
            "Password",
            'type="password" autocomplete="new-password" maxlength="1024" required',
            faults,
            hint=f"At least {shortest} characters; a few unrelated words are good.",
        ),
        _field(
            "password_again",
            "Password, once more",
            'type="password" autocomplete="new-password" maxlength="1024" required',
            faults,
        ),
    ]
    summary = ""
    if faults:
        summary = '<p class="fault-summary" role="alert">Nothing was made yet: see below.</p>\n'
    main = _MAIN.format(summary=summary, fields="\n".join(fields))
    title = "Set up" if not faults else "Error: Set up"
    return page(title, main, status=status, headers=_HEADERS)


def _token_field(token: str, faults: Mapping[str, str]) -> str:
    if token and "token" not in faults:
        return f'<input type="hidden" name="token" value="{escape(token)}">'
    return _field(
        "token",
        "Token",
        f'type="text" value="{escape(token)}" autocomplete="off" spellcheck="false" required',
        faults,
        hint="The end of the link that the server printed when it started.",
    )


def _field(
    name: str, label: str, attributes: str, faults: Mapping[str, str], *, hint: str = ""
) -> str:
    notes = ""
    ids = []
    if fault := faults.get(name, ""):
        notes += f'<span class="fault" id="{name}-fault">{escape(fault)}</span>\n'
        ids.append(f"{name}-fault")
    if hint:
        notes += f'<span class="hint" id="{name}-hint">{hint}</span>\n'
        ids.append(f"{name}-hint")
    described = f' aria-describedby="{" ".join(ids)}"' if ids else ""
    if fault:
        described += ' aria-invalid="true"'
    return _FIELD.format(
        name=name, label=label, attributes=attributes, described=described, notes=notes
    )
