"""The HTML of the forms for registering and for signing in."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from palaver.dialects.sessions.pages.addresses import HOME, LOGIN, REGISTER, with_next
from palaver.domain.accounts import (
    EMAIL_MAX_LENGTH,
    USERNAME_MAX_LENGTH,
    RegistrationMode,
    SecondFactorDuty,
)
from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.identity_providers import Refusal
from palaver.domain.otp import OneTimeCodeRefused
from palaver.domain.passwords import PasswordPolicy
from palaver.domain.users import SYSTEM
from palaver.web.authentication import CSRF_FIELD
from palaver.web.call import Call
from palaver.web.forms import (
    field,
    first_token,
    hidden,
    one_time_code_field,
    password_field,
    password_hint,
    summary,
)
from palaver.web.html import Html, fill, joined, page

STALE: Final = (
    "This form had grown old, or this browser keeps no cookies. "
    "It is new now: please send it once more."
)
REFUSALS: Final[Mapping[str, str]] = {
    Refusal.DENIED: "That sign-in was not allowed, or was given up.",
    Refusal.CLOSED: "You have no account here yet, and registration is closed.",
    Refusal.NOT_INVITED: (
        "You have no account here yet: open the link of your invite first, or enter its code "
        "where accounts are made."
    ),
    Refusal.DISABLED: "This account is disabled.",
    Refusal.UNREACHABLE: (
        "The server that signs you in does not answer just now. Try again in a moment."
    ),
    Refusal.FAILED: "That sign-in did not work. Try again, or tell whoever runs this server.",
}
"""Why a single sign-on did not work."""

_A_CODE: Final = "Six digits from your app, or a recovery code."
_PERHAPS_A_CODE: Final = f"{_A_CODE} Leave it empty if you have not set one up."
_NOTHING_YET: Final = "There is no account yet: see below."

# Pages with a token of one browser in them are kept by nobody.
_HEADERS: Final = {"cache-control": "no-store"}

_FORM: Final = """\
<main class="page door">
<header>
<h1>{title}</h1>
{lead}</header>
{notice}<form class="card form" method="post" action="{action}">
{summary}
{hidden}
{fields}
<div class="actions"><button class="button" type="submit">{button}</button></div>
</form>
{more}</main>
<footer class="foot"><a href="/docs">API documentation</a></footer>"""

_CLOSED: Final = """\
<main class="page door">
<header>
<h1>Registration is closed</h1>
<p class="lead">Nobody can make an account here by themselves. Ask whoever runs this server.</p>
</header>
<div class="actions"><a class="button" href="{login}">Sign in</a></div>
</main>"""

_SETUP: Final = """\
<section class="card" aria-labelledby="setup">
<h2 id="setup">There is no administrator yet</h2>
<p>When the server started, it printed a link that works once. Open that link, or enter the token
at its end here.</p>
<div class="actions"><a class="button plain" href="/app/setup">Set up</a></div>
</section>
"""
_SETUP_BY_SETTING: Final = """\
<section class="card" aria-labelledby="setup">
<h2 id="setup">There is no administrator yet</h2>
<p><code>PALAVER_BOOTSTRAP_TOKEN</code> is empty, so nobody can become one here. Unset it or give it
a value, and start the server again.</p>
</section>
"""
_LEAD: Final = '<p class="lead">{text}</p>\n'
_PROVIDERS: Final = '<nav class="actions stacked" aria-label="Other ways">\n{links}\n</nav>\n'
_PROVIDER: Final = '<a class="button plain" href="{address}">Sign in with {name}</a>'
_SINGLE_SIGN_ON: Final = "/api/v1/auth/sso/login"
_OTHER: Final = '<p class="soft">{question} <a href="{address}">{text}</a></p>\n'


def is_closed(call: Call) -> bool:
    """Tell whether nobody may register."""
    return _mode(call) is RegistrationMode.CLOSED


def closed(call: Call) -> Response:  # noqa: ARG001  # as its siblings
    """Return the page that says that nobody may register."""
    main = fill(_CLOSED, login=LOGIN)
    return page("Registration is closed", main, status=403, headers=_HEADERS)


async def login(
    call: Call,
    *,
    username: str = "",
    next: str = HOME,
    faults: Mapping[str, str] | None = None,
    said: str = "",
    takes_code: bool = False,
    status: int = 200,
) -> Response:
    """Return the form that signs somebody in; `next` is a page of this site."""
    faults = faults or {}
    fields = [
        _username("User name or e-mail", username, faults, is_first=not username),
        password_field("password", "Password", faults, is_new=False, autofocus=bool(username)),
    ]
    if takes_code or _everybody_has_a_code(call):
        fields.append(one_time_code_field(faults, hint=_A_CODE if takes_code else _PERHAPS_A_CODE))
    register = fill(
        _OTHER, question="No account yet?", address=with_next(REGISTER, next), text="Register"
    )
    main = fill(
        _FORM,
        title="Sign in",
        lead=fill(_LEAD, text="Sign in to go on.") if next != HOME else Html(),
        notice=await _setup_notice(call),
        action=LOGIN,
        summary=summary(said),
        hidden=_hidden(call, next),
        fields=joined(fields),
        button="Sign in",
        more=joined([_providers(call, next), Html() if is_closed(call) else register], by=""),
    )
    return page(_title("Sign in", status), main, status=status, headers=_HEADERS)


async def refused_login(call: Call, error: DomainError, *, username: str, next: str) -> Response:
    """Return the form again, with the reason. Raises what no form can mend."""
    if isinstance(error, OneTimeCodeRefused):
        # Where it was not asked for yet, its absence is no fault of theirs.
        faults = {} if error.is_missing else {"otp": "This code is wrong, or was used already."}
        said = "Type the password once more, and the code that your app shows."
        return await login(
            call,
            username=username,
            next=next,
            faults=faults,
            said=said,
            takes_code=True,
            status=400,
        )
    if error.kind is ErrorKind.INVALID_CREDENTIALS:
        faults = {"password": error.message}
        return await login(call, username=username, next=next, faults=faults, status=400)
    if error.kind is ErrorKind.USER_INACTIVE:
        return await login(call, username=username, next=next, said=error.message, status=400)
    if error.kind is not ErrorKind.LOGIN_THROTTLED:
        raise error
    seconds = error.retry_after_seconds or 1
    said = f"Too many failed attempts to sign in. Try again in {_in_words(seconds)}."
    response = await login(call, username=username, next=next, said=said, status=429)
    response.headers["retry-after"] = str(seconds)
    return response


def registration(
    call: Call,
    *,
    username: str = "",
    email: str = "",
    invite_code: str = "",
    next: str = HOME,
    faults: Mapping[str, str] | None = None,
    said: str = "",
    status: int = 200,
) -> Response:
    """Return the form that makes an account; `next` is a page of this site."""
    faults = faults or {}
    wants_invite = _mode(call) is RegistrationMode.INVITE
    fields = [
        _username("User name", username, faults, is_first=True),
        _email(email, faults),
        password_field("password", "Password", faults, hint=password_hint(_policy(call))),
        password_field("confirm_password", "Password, once more", faults),
    ]
    if wants_invite or invite_code:
        fields.append(_invite_code(invite_code, faults, is_required=wants_invite))
    sign_in = fill(
        _OTHER, question="An account already?", address=with_next(LOGIN, next), text="Sign in"
    )
    main = fill(
        _FORM,
        title="Create an account",
        lead=Html(),
        notice=Html(),
        action=REGISTER,
        summary=summary(said or (_NOTHING_YET if faults else "")),
        hidden=_hidden(call, next),
        fields=joined(fields),
        button="Create the account",
        more=joined([_providers(call, next, invite_code), sign_in], by=""),
    )
    return page(_title("Create an account", status), main, status=status, headers=_HEADERS)


def _providers(call: Call, next: str, invite_code: str = "") -> Html:
    """Return a link to each identity provider, which leads on to `next`; nothing for none."""
    links = []
    for provider in call.services.single_sign_on.offers(call.actor):
        query = {"provider": provider.id, "redirect_uri": f"{call.origin}{next}"}
        if invite_code:
            query["invite_code"] = invite_code
        address = f"{_SINGLE_SIGN_ON}?{urlencode(query)}"
        links.append(fill(_PROVIDER, address=address, name=provider.name))
    return fill(_PROVIDERS, links=joined(links)) if links else Html()


def _username(label: str, value: str, faults: Mapping[str, str], *, is_first: bool) -> Html:
    return field(
        "username",
        label,
        faults,
        type="text",
        value=value,
        autocomplete="username",
        autocapitalize="none",
        spellcheck="false",
        maxlength=max(USERNAME_MAX_LENGTH, EMAIL_MAX_LENGTH),
        required=True,
        autofocus=is_first,
    )


def _email(value: str, faults: Mapping[str, str]) -> Html:
    return field(
        "email",
        "E-mail",
        faults,
        hint="Optional. With it you can sign in as well.",
        type="email",
        value=value,
        autocomplete="email",
        maxlength=EMAIL_MAX_LENGTH,
    )


def _invite_code(value: str, faults: Mapping[str, str], *, is_required: bool) -> Html:
    return field(
        "invite_code",
        "Invite code",
        faults,
        hint="Accounts are for those who were invited." if is_required else "",
        type="text",
        value=value,
        autocomplete="off",
        autocapitalize="none",
        spellcheck="false",
        required=is_required,
    )


def _hidden(call: Call, next: str) -> Html:
    parts = [hidden(CSRF_FIELD, first_token(call))]
    if next != HOME:
        parts.append(hidden("next", next))
    return joined(parts)


async def _setup_notice(call: Call) -> Html:
    registrations = call.services.registrations
    if await registrations.has_administrator(SYSTEM):
        return Html()
    return Html(_SETUP if registrations.policy.bootstrap_token else _SETUP_BY_SETTING)


def _in_words(seconds: int) -> str:
    if seconds <= 90:
        return f"{seconds} second{'s' * (seconds != 1)}"
    return f"{-(-seconds // 60)} minutes"


def _title(title: str, status: int) -> str:
    return title if status < 400 else f"Error: {title}"


def _everybody_has_a_code(call: Call) -> bool:
    return call.services.sessions.policy.second_factor is SecondFactorDuty.EVERYBODY


def _mode(call: Call) -> RegistrationMode:
    return call.services.registrations.policy.registration


def _policy(call: Call) -> PasswordPolicy:
    return call.services.registrations.policy.password_policy
