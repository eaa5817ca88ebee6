"""A new password: the form behind the link that an administrator made. It works once."""

from collections.abc import Mapping
from typing import Final

import msgspec
from starlette.responses import Response

from palaver.domain.errors import DomainError, ErrorKind, InvalidInput
from palaver.domain.users import User
from palaver.web.answers import clear_session_cookies
from palaver.web.authentication import is_foreign
from palaver.web.call import Call
from palaver.web.forms import by_field, field, hidden, password_field, password_hint, summary
from palaver.web.html import Html, fill, joined, page

# The token stands in the address of the page. (With no referrer at all, browsers would send
# `Origin: null` with the form.)
_HEADERS: Final = {"cache-control": "no-store"}

_MAIN: Final = """\
<main class="page door">
<header>
<h1>Choose a new password</h1>
<p class="lead">You will be signed out everywhere.{code}</p>
</header>
<form class="card form" method="post" action="/app/reset">
{summary}
{fields}
<div class="actions"><button class="button" type="submit">Set the password</button></div>
</form>
</main>"""

_SAID: Final = """\
<main class="page door">
<header>
<h1>{title}</h1>
<p class="lead">{text}</p>
</header>
<div class="actions"><a class="button" href="/accounts/login/">Sign in</a></div>
</main>"""


class ResetForm(msgspec.Struct, frozen=True):
    """What the form sends."""

    token: str = ""
    password: str = ""
    password_again: str = ""


async def show(call: Call, *, token: str = "") -> Response:
    """Show the form, where the link still works. No contract: ours."""
    try:
        user = await call.services.password_resets.find(call.actor, token)
    except DomainError as error:
        return _no_link(error)
    return _form(call, user, token, {}, status=200)


async def submit(call: Call, body: ResetForm) -> Response:
    """Set the new password. No contract: ours."""
    if is_foreign(call):
        # The token proves that whoever fills in the form may; this, that they meant to.
        raise DomainError("This form was sent by another site.", kind=ErrorKind.CSRF_INVALID)
    resets = call.services.password_resets
    try:
        user = await resets.find(call.actor, body.token)
    except DomainError as error:
        return _no_link(error)
    try:
        if body.password != body.password_again:
            faults = {"password_again": "The two passwords differ."}
            return _form(call, user, body.token, faults, status=400)
        await resets.redeem(call.actor, body.token, password=body.password)
    except InvalidInput as error:
        return _form(call, user, body.token, by_field(error.faults), status=400)
    except DomainError as error:
        return _no_link(error)
    clear_session_cookies(call)
    main = fill(_SAID, title="Your password is new", text="Sign in with it now.")
    return page("Your password is new", main, headers=_HEADERS)


def _no_link(error: DomainError) -> Response:
    """Return the page that says why the link does not work. Raises what that does not mend."""
    if error.kind not in {ErrorKind.INVALID_TOKEN, ErrorKind.USER_INACTIVE}:
        raise error
    title = "This link does not work"
    main = fill(_SAID, title=title, text=error.message)
    return page(title, main, status=403, headers=_HEADERS)


def _form(
    call: Call, user: User, token: str, faults: Mapping[str, str], *, status: int
) -> Response:
    policy = call.services.registrations.policy.password_policy
    fields = [
        hidden("token", token),
        # Shown, so that password managers put the new password where the old one was.
        field(
            "username",
            "User name",
            {},
            type="text",
            value=user.username,
            autocomplete="username",
            readonly=True,
        ),
        password_field(
            "password", "New password", faults, hint=password_hint(policy), autofocus=True
        ),
        password_field("password_again", "New password, once more", faults),
    ]
    main = fill(
        _MAIN,
        code=_code_note(user),
        summary=summary("Nothing was changed yet: see below." if faults else ""),
        fields=joined(fields),
    )
    title = "Choose a new password"
    title = f"Error: {title}" if faults else title
    return page(title, main, status=status, headers=_HEADERS)


def _code_note(user: User) -> Html:
    if user.second_factor_at is None:
        return Html()
    return Html(" Signing in takes your one-time code as before.")
