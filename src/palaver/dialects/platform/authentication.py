"""The chapter "Authentication"."""

from palaver.dialects.platform import wire
from palaver.web.answers import clear_session_cookies
from palaver.web.call import Call


async def may_register(call: Call) -> None:
    """Refuse where nobody may register. Beyond the document."""
    await call.services.registrations.check_open(call.actor)


async def register(call: Call, body: wire.Registration) -> wire.User:
    """Make an account, without signing in. Contract: "Register User"."""
    user = await call.services.registrations.register(
        call.actor, body.registration, invite_code=body.invite_code
    )
    return wire.User.of(user)


async def login(call: Call, body: wire.Credentials) -> wire.Tokens:
    """Sign in by user name or e-mail address. Contract: "Login"."""
    sign_in = await call.services.sessions.sign_in_for_tokens(
        call.actor, username=body.username, password=body.password, otp=body.otp
    )
    return wire.Tokens.of(sign_in)


async def refresh(call: Call, body: wire.Refresh) -> wire.Tokens:
    """Get a new access token beside the same refresh token. Contract: "Refresh Token"."""
    return wire.Tokens.of(await call.services.sessions.refresh(call.actor, body.refresh_token))


async def logout(call: Call, body: wire.Logout) -> wire.Notice:
    """End a sign-in: all of its tokens are of no use any more. Contract: "Logout".

    Of `refresh_token`'s sign-in, else of the one that this request came with.
    """
    if body.refresh_token is None:
        await call.services.sessions.sign_out(call.actor)
        clear_session_cookies(call)
    else:
        await call.services.sessions.sign_out_family(call.actor, body.refresh_token)
    return wire.Notice("Logged out successfully")
