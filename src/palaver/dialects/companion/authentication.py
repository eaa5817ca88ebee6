"""The chapter "Authentication"."""

from palaver.dialects.companion import wire
from palaver.web.call import Call


async def sign_in(call: Call, body: wire.Credentials) -> wire.Token:
    """Sign in by user name or e-mail address. Contract: "Get Access Token"."""
    signed_in = await call.services.sessions.sign_in_for_tokens(
        call.actor, username=body.username, password=body.password, otp=body.otp
    )
    return wire.Token(signed_in.access_token, "bearer")
