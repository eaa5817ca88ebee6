"""The chapter "Users"."""

from palaver.dialects.companion import wire
from palaver.web.call import Call


async def me(call: Call) -> wire.User:
    """Return who is signed in. Contract: "Get Current User"."""
    return wire.User.of(await call.services.accounts.me(call.actor))
