"""Forms that work without scripts: labelled fields, faults beside them, and who may send them.

A form for those who have signed in bears the CSRF token of their session, which is checked where
everybody's is. A form before that has no session: it bears the token of a cookie of its own.
"""

from collections.abc import Mapping
from typing import Final

from palaver.domain.errors import DomainError, ErrorKind, FieldFault
from palaver.domain.passwords import (
    PASSWORD_MAX_LENGTH,
    PASSWORD_MIN_LENGTH,
    STRICT_MIN_LENGTH,
    PasswordPolicy,
)
from palaver.kit.ids import new_secret
from palaver.web.answers import set_form_cookies
from palaver.web.authentication import CSRF_FIELD, CSRF_HEADERS, is_foreign
from palaver.web.call import FORM_COOKIE, SESSION_COOKIE, Call
from palaver.web.html import Html, fill, joined

FORM_MAX_BYTES: Final = 64 * 1024

_FIELD: Final = """\
<div class="field">
<label for="{name}">{label}</label>
<input id="{name}" name="{name}"{attributes}>
{notes}</div>"""
_FAULT: Final = '<span class="fault" id="{name}-fault">{text}</span>\n'
_HINT: Final = '<span class="hint" id="{name}-hint">{text}</span>\n'
_SUMMARY: Final = '<p class="fault-summary" role="alert">{text}</p>'


def field(
    name: str,
    label: str,
    faults: Mapping[str, str],
    *,
    hint: str = "",
    **attributes: str | int | bool,
) -> Html:
    """Return a labelled input with what is wrong with it and what it wants."""
    notes = []
    described = []
    if fault := faults.get(name, ""):
        notes.append(fill(_FAULT, name=name, text=fault))
        described.append(f"{name}-fault")
    if hint:
        notes.append(fill(_HINT, name=name, text=hint))
        described.append(f"{name}-hint")
    return fill(
        _FIELD,
        name=name,
        label=label,
        attributes=html_attributes(
            **attributes,
            **({"aria-describedby": " ".join(described)} if described else {}),
            **({"aria-invalid": "true"} if fault else {}),
        ),
        notes=joined(notes, by=""),
    )


def password_field(
    name: str,
    label: str,
    faults: Mapping[str, str],
    *,
    hint: str = "",
    is_new: bool = True,
    **attributes: str | int | bool,
) -> Html:
    """Return the input of a password, which is never filled in by us."""
    return field(
        name,
        label,
        faults,
        hint=hint,
        type="password",
        autocomplete="new-password" if is_new else "current-password",
        maxlength=PASSWORD_MAX_LENGTH,
        required=True,
        **attributes,
    )


def one_time_code_field(
    faults: Mapping[str, str], *, hint: str, name: str = "otp", **attributes: str | int | bool
) -> Html:
    """Return the input of the second factor's code, which phones offer to fill in."""
    return field(
        name,
        "One-time code",
        faults,
        hint=hint,
        type="text",
        autocomplete="one-time-code",
        autocapitalize="none",
        spellcheck="false",
        maxlength=32,
        **attributes,
    )


def password_hint(policy: PasswordPolicy) -> str:
    """Return what a new password has to be."""
    is_strict = policy is PasswordPolicy.STRICT
    shortest = STRICT_MIN_LENGTH if is_strict else PASSWORD_MIN_LENGTH
    return f"At least {shortest} characters; a few unrelated words are good."


def hidden(name: str, value: str) -> Html:
    """Return an input that nobody sees."""
    return fill('<input type="hidden" name="{name}" value="{value}">', name=name, value=value)


def summary(text: str) -> Html:
    """Return the sentence above a form that says what became of it, nothing for none."""
    return fill(_SUMMARY, text=text) if text else Html()


def html_attributes(**values: str | int | bool) -> Html:
    """Return the attributes of an element; of those that are true the name alone."""
    return joined(
        (
            fill(" {name}" if value is True else ' {name}="{value}"', name=name, value=value)
            for name, value in values.items()
            if value is not False
        ),
        by="",
    )


def by_field(faults: tuple[FieldFault, ...]) -> dict[str, str]:
    """Return what is wrong with each field, the first fault of each."""
    return {fault.field: fault.message for fault in reversed(faults)}


def first_token(call: Call) -> str:
    """Return the CSRF token of a form before sign-in; gives a new browser the cookie for it."""
    cookies = call.request.cookies
    if session := cookies.get(SESSION_COOKIE):
        # Whether it is live or not: scripts of other pages may hold its token already.
        return call.services.sessions.csrf_token(session)
    seed = cookies.get(FORM_COOKIE) or new_secret()
    token = call.services.sessions.csrf_token(seed)
    set_form_cookies(call, seed=seed, csrf_token=token)
    return token


def is_first_token(call: Call, given: str) -> bool:
    """Tell whether a form before sign-in came from our page in this browser.

    Raises `DomainError` (`CSRF_INVALID`) where the browser says that another site sent it.
    """
    if is_foreign(call):
        raise DomainError("This form was sent by another site.", kind=ErrorKind.CSRF_INVALID)
    headers = [value for name in CSRF_HEADERS if (value := call.header(name)) is not None]
    token = headers[0] if headers else given
    cookies = [call.request.cookies.get(name) for name in (SESSION_COOKIE, FORM_COOKIE)]
    is_token_of = call.services.sessions.is_csrf_token
    return any(is_token_of(cookie, token) for cookie in cookies if cookie)


def session_token(call: Call) -> Html:
    """Return the hidden input that lets a form change something in the name of who is signed in."""
    cookie = call.cookie_token
    return hidden(CSRF_FIELD, call.services.sessions.csrf_token(cookie)) if cookie else Html()
