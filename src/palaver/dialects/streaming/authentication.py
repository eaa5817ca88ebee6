"""The chapter "Authentication"."""

from palaver.dialects.streaming import wire
from palaver.domain.users import CookieSignIn
from palaver.web.answers import clear_session_cookies, set_device_cookie, set_session_cookies
from palaver.web.call import Call


async def login(call: Call, body: wire.Login) -> wire.SignedIn:
    """Sign in. Contract: "Login"."""
    sign_in = await call.services.sessions.sign_in(
        call.actor, username=body.username, password=body.password, otp=body.otp
    )
    return signed_in(call, sign_in)


async def logout(call: Call) -> wire.Notice:
    """End the session that this call came with. Contract: "Logout"."""
    await call.services.sessions.sign_out(call.actor)
    clear_session_cookies(call)
    return wire.Notice("Logged out successfully")


async def me(call: Call) -> wire.Me:
    """Return who is signed in. Contract: "Get Current User"."""
    user = await call.services.accounts.me(call.actor)
    return wire.Me(wire.Person.of(user))


async def may_register(call: Call) -> None:
    """Refuse where nobody may register. Beyond the document."""
    await call.services.registrations.check_open(call.actor)


async def register(call: Call, body: wire.Register) -> wire.SignedIn:
    """Make an account and sign in. Beyond the document; answers as "Login" does."""
    sign_in = await call.services.registrations.register_and_sign_in(
        call.actor, body.registration, invite_code=body.invite_code
    )
    return signed_in(call, sign_in)


def signed_in(call: Call, sign_in: CookieSignIn) -> wire.SignedIn:
    """Give the browser its cookies, and render who has signed in."""
    set_session_cookies(call, token=sign_in.cookie, csrf_token=sign_in.csrf_token)
    set_device_cookie(call, sign_in.device)
    return wire.SignedIn(wire.Person.of(sign_in.user), sign_in.csrf_token)
