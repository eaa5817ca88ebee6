"""Setting up the second factor: a form in two steps, and the recovery codes at its end."""

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import RedirectResponse, Response

from palaver.domain.errors import DomainError, ErrorKind, InvalidInput
from palaver.services.second_factor import Enrolment
from palaver.ui.errors import render_error
from palaver.web.call import Call
from palaver.web.forms import (
    by_field,
    one_time_code_field,
    password_field,
    session_token,
    summary,
)
from palaver.web.html import Html, fill, joined, page

PATH: Final = "/app/second-factor"
_LOGIN: Final = f"/accounts/login/?next={PATH}"
_NOBODY: Final = {
    ErrorKind.UNAUTHENTICATED,
    ErrorKind.SESSION_EXPIRED,
    ErrorKind.INVALID_TOKEN,
    ErrorKind.USER_INACTIVE,
}
_HEADERS: Final = {"cache-control": "no-store"}
TITLE: Final = "Set up a second factor"

_BEGIN: Final = """\
<main class="page door">
<header>
<h1>Set up a second factor</h1>
<p class="lead">{lead}</p>
</header>
<form class="card form" method="post" action="/app/second-factor">
{summary}
{fields}
<div class="actions"><button class="button" type="submit">Go on</button></div>
</form>
</main>"""

_CONFIRM: Final = """\
<main class="page door">
<header>
<h1>Set up a second factor</h1>
<p class="lead">Add Palaver to your authenticator app, then enter the code that it shows.</p>
</header>
{key}<form class="card form" method="post" action="/app/second-factor">
{summary}
{fields}
<div class="actions"><button class="button" type="submit">Confirm</button></div>
</form>
<p class="soft">No such key in your app? <a href="/app/second-factor">Begin again</a></p>
</main>"""

_KEY: Final = """\
<section class="card" aria-labelledby="key">
<h2 id="key">Enter this key in your authenticator app</h2>
<p><code>{secret}</code></p>
<p class="soft">On the device that has the app, <a href="{uri}">this link opens it</a>.</p>
</section>
"""

_DONE: Final = """\
<main class="page door">
<header>
<h1>Your second factor is set up</h1>
<p class="lead">Each of these codes signs you in once, should you lose your app. Keep them where you
keep what matters: they are not shown again.</p>
</header>
<section class="card" aria-labelledby="codes">
<h2 id="codes">Recovery codes</h2>
<ul>
{codes}
</ul>
</section>
<div class="actions"><a class="button" href="/">I have kept them</a></div>
</main>"""

_THERE: Final = """\
<main class="page door">
<header>
<h1>You have a second factor</h1>
<p class="lead">Signing in takes a one-time code beside your password.</p>
</header>
<div class="actions"><a class="button" href="/">To the front page</a></div>
</main>"""


class SecondFactorForm(msgspec.Struct, frozen=True):
    """What either step sends: the password first, then the code."""

    password: str = ""
    code: str = ""


async def show(call: Call) -> Response:
    """Show the first step, or that there is nothing to do. No contract: ours."""
    status = await call.services.second_factor.status(call.actor)
    if status.confirmed_at is not None:
        return page("You have a second factor", Html(_THERE), headers=_HEADERS)
    return await _begin(call, {})


async def submit(call: Call, body: SecondFactorForm) -> Response:
    """Take either step. No contract: ours."""
    service = call.services.second_factor
    try:
        if body.code:
            return _done(await service.confirm(call.actor, code=body.code))
        return _confirm(call, await service.enrol(call.actor, password=body.password))
    except InvalidInput as error:
        faults = by_field(error.faults)
        return _confirm(call, None, faults) if body.code else await _begin(call, faults)
    except DomainError as error:
        if error.kind is not ErrorKind.CONFLICT:
            raise
        return RedirectResponse(PATH, 303)


def render_page_error(error: DomainError, call: Call) -> Response:
    """Return a failure: who is not signed in is led through that, and back."""
    if error.kind in _NOBODY:
        return RedirectResponse(_LOGIN, 302)
    return render_error(error, call)


async def _begin(call: Call, faults: Mapping[str, str]) -> Response:
    status = await call.services.second_factor.status(call.actor)
    lead = "With it, a stolen password alone lets nobody in."
    if status.is_required:
        lead = "This server asks for one. Until you have it, you cannot do anything else here."
    hint = "Once more, so that nobody does this in a browser that you left open."
    fields = [
        session_token(call),
        password_field(
            "password", "Your password", faults, hint=hint, is_new=False, autofocus=True
        ),
    ]
    main = fill(_BEGIN, lead=lead, summary=_summary(faults), fields=joined(fields))
    return _page(main, faults)


def _confirm(
    call: Call, begun: Enrolment | None, faults: Mapping[str, str] | None = None
) -> Response:
    faults = faults or {}
    hint = "What the app shows for Palaver now."
    fields = [
        session_token(call),
        one_time_code_field(
            faults,
            name="code",
            hint=hint,
            inputmode="numeric",
            required=True,
            autofocus=True,
        ),
    ]
    key = Html()
    if begun is not None:
        secret = " ".join(begun.secret[i : i + 4] for i in range(0, len(begun.secret), 4))
        key = fill(_KEY, secret=secret, uri=begun.otpauth_uri)
    main = fill(_CONFIRM, key=key, summary=_summary(faults), fields=joined(fields))
    return _page(main, faults)


def _done(recovery_codes: list[str]) -> Response:
    codes = [fill("<li><code>{code}</code></li>", code=code) for code in recovery_codes]
    return page("Your second factor is set up", fill(_DONE, codes=joined(codes)), headers=_HEADERS)


def _summary(faults: Mapping[str, str]) -> Html:
    return summary("Nothing was set up yet: see below." if faults else "")


def _page(main: Html, faults: Mapping[str, str]) -> Response:
    title, status = (f"Error: {TITLE}", 400) if faults else (TITLE, 200)
    return page(title, main, status=status, headers=_HEADERS)
