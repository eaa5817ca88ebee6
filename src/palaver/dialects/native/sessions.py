"""The chapter "Sessions"."""

from palaver.dialects.native import account_wire as wire
from palaver.web.answers import clear_session_cookies
from palaver.web.binding import Uuid
from palaver.web.call import Call


async def list_(call: Call) -> wire.Sessions:
    """List one's own sign-ins. Contract: "List Sessions"."""
    found = await call.services.sessions.list(call.actor)
    return wire.Sessions([wire.Session.of(session, call.actor) for session in found], None)


async def end(call: Call, session_id: Uuid) -> None:
    """End one of one's own sign-ins. Contract: "End Session"."""
    if await call.services.sessions.end(call.actor, session_id):
        clear_session_cookies(call)


async def end_others(call: Call) -> wire.Ended:
    """End all of one's own sign-ins but this one. Contract: "End Other Sessions"."""
    return wire.Ended(await call.services.sessions.end_others(call.actor))
