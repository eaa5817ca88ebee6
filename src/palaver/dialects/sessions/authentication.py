"""The chapter "Authentication API"."""

from palaver.dialects.sessions import wire
from palaver.web.call import Call


async def may_register(call: Call) -> None:
    """Refuse where nobody may register. Beyond the document."""
    await call.services.registrations.check_open(call.actor)


async def register(call: Call, body: wire.Registration) -> wire.SignedIn:
    """Make an account, and get its tokens. Contract: "Register"."""
    sign_in = await call.services.registrations.register_for_tokens(
        call.actor,
        body.checked,
        invite_code=body.invite_code,
        access_lifetime_seconds=wire.ACCESS_SECONDS,
    )
    return wire.SignedIn.of(sign_in, "User registered successfully")


async def login(call: Call, body: wire.Login) -> wire.SignedIn:
    """Get tokens by user name or e-mail address. Contract: "Login"."""
    sign_in = await call.services.sessions.sign_in_for_tokens(
        call.actor,
        username=body.username,
        password=body.password,
        otp=body.otp,
        access_lifetime_seconds=wire.ACCESS_SECONDS,
    )
    return wire.SignedIn.of(sign_in, "Login successful")


async def logout(call: Call, body: wire.Refresh) -> wire.Notice:
    """End the sign-in of a refresh token of one's own, with all its tokens. Contract: "Logout"."""
    await call.services.sessions.sign_out_family(call.actor, body.refresh)
    return wire.Notice("Logout successful")


async def profile(call: Call) -> wire.User:
    """Return who is signed in. Contract: "User Profile"."""
    return wire.User.of(await call.services.accounts.me(call.actor))


async def refresh(call: Call, body: wire.Refresh) -> wire.Access:
    """Get a new access token; the refresh token stays as it is. Contract: "Token Refresh"."""
    sign_in = await call.services.sessions.refresh(
        call.actor, body.refresh, access_lifetime_seconds=wire.ACCESS_SECONDS
    )
    return wire.Access(sign_in.access_token)
