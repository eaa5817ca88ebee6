"""The chapter "Authentication" of the web routes: registering, signing in, signing out."""

from typing import Final

import msgspec
from starlette.responses import RedirectResponse, Response

from palaver.dialects.sessions.pages import account_pages as pages
from palaver.dialects.sessions.pages.addresses import LOGIN, local
from palaver.domain.accounts import Registration, Taken
from palaver.domain.errors import DomainError, ErrorKind, InvalidInput
from palaver.domain.users import CookieSignIn
from palaver.web.answers import clear_session_cookies, set_device_cookie, set_session_cookies
from palaver.web.authentication import identify, is_foreign
from palaver.web.call import SESSION_COOKIE, Call
from palaver.web.forms import by_field, is_first_token

_NOBODY: Final = {
    ErrorKind.UNAUTHENTICATED,
    ErrorKind.SESSION_EXPIRED,
    ErrorKind.INVALID_TOKEN,
    ErrorKind.USER_INACTIVE,
}


class SignIn(msgspec.Struct, frozen=True):
    """What the form for signing in sends."""

    username: str = ""
    password: str = ""
    otp: str | None = None
    next: str = ""
    csrf_token: str = ""


class SignUp(msgspec.Struct, frozen=True):
    """What the form for registering sends."""

    username: str = ""
    email: str = ""
    password: str = ""
    confirm_password: str = ""
    invite_code: str = ""
    next: str = ""
    csrf_token: str = ""

    @property
    def registration(self) -> Registration:
        """Return it as the domain knows it."""
        return Registration(username=self.username, password=self.password, email=self.email)


async def show_registration(call: Call, *, next: str = "", invite_code: str = "") -> Response:
    """Show the form that makes an account. Contract: "Registration Page"."""
    if await _is_signed_in(call):
        return RedirectResponse(local(next), 302)
    if pages.is_closed(call):
        return pages.closed(call)
    return pages.registration(call, next=local(next), invite_code=invite_code)


async def register(call: Call, body: SignUp) -> Response:
    """Make an account and sign in, or show the form with what is wrong. Beyond the document."""
    if not is_first_token(call, body.csrf_token):
        return _registration(call, body, said=pages.STALE, status=403)
    if pages.is_closed(call):
        return pages.closed(call)
    if faults := _faults(call, body):
        return _registration(call, body, faults)
    try:
        sign_in = await call.services.registrations.register_and_sign_in(
            call.actor, body.registration, invite_code=body.invite_code
        )
    except Taken as error:
        return _registration(call, body, dict.fromkeys(error.fields, error.message))
    except DomainError as error:
        if error.kind is not ErrorKind.INVALID_INVITE:
            raise
        return _registration(call, body, {"invite_code": error.message}, status=403)
    return _signed_in(call, sign_in, local(body.next))


async def show_login(call: Call, *, next: str = "", refused: str = "") -> Response:
    """Show the form that signs somebody in. Contract: "Login Page".

    `refused` says why a single sign-on did not work.
    """
    if await _is_signed_in(call):
        return RedirectResponse(local(next), 302)
    return await pages.login(call, next=local(next), said=pages.REFUSALS.get(refused, ""))


async def login(call: Call, body: SignIn) -> Response:
    """Sign in and go on to `next`, or show the form with what is wrong. Beyond the document."""
    name, target = body.username, local(body.next)
    if not is_first_token(call, body.csrf_token):
        return await pages.login(call, username=name, next=target, said=pages.STALE, status=403)
    try:
        sign_in = await call.services.sessions.sign_in(
            call.actor, username=name, password=body.password, otp=body.otp
        )
    except DomainError as error:
        return await pages.refused_login(call, error, username=name, next=target)
    return _signed_in(call, sign_in, target)


async def logout(call: Call) -> Response:
    """Sign out, and go to the form that signs in. Contract: "Logout"."""
    if is_foreign(call):
        raise DomainError("This request comes from another site.", kind=ErrorKind.CSRF_INVALID)
    return await logout_by_form(call)


async def logout_by_form(call: Call) -> Response:
    """Sign out, and go to the form that signs in. Beyond the document."""
    await call.services.sessions.sign_out(call.actor)
    clear_session_cookies(call)
    return RedirectResponse(LOGIN, 302)


def _signed_in(call: Call, sign_in: CookieSignIn, target: str) -> Response:
    set_session_cookies(call, token=sign_in.cookie, csrf_token=sign_in.csrf_token)
    set_device_cookie(call, sign_in.device)
    return RedirectResponse(target, 303)


def _registration(
    call: Call,
    body: SignUp,
    faults: dict[str, str] | None = None,
    *,
    said: str = "",
    status: int = 400,
) -> Response:
    return pages.registration(
        call,
        username=body.username,
        email=body.email,
        invite_code=body.invite_code,
        next=local(body.next),
        faults=faults or {},
        said=said,
        status=status,
    )


def _faults(call: Call, body: SignUp) -> dict[str, str]:
    """Return what is wrong with each field, all at once."""
    is_same = body.password == body.confirm_password
    faults = {} if is_same else {"confirm_password": "The two passwords differ."}
    try:
        body.registration.checked(call.services.registrations.policy.password_policy)
    except InvalidInput as error:
        faults |= by_field(error.faults)
    return faults


async def _is_signed_in(call: Call) -> bool:
    if SESSION_COOKIE not in call.request.cookies:
        return False
    try:
        await identify(call)
    except DomainError as error:
        if error.kind in _NOBODY:
            return False
        raise
    return True
