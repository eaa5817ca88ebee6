"""The chapters "Invites" and "Audit log"."""

from datetime import datetime

from palaver.dialects.native import admin_records_wire as wire
from palaver.dialects.native.admin_wire import parse_time
from palaver.dialects.native.wire import Limit
from palaver.domain.cursors import LIMIT
from palaver.web.call import Call


async def list_invites(
    call: Call, *, cursor: str | None = None, limit: Limit = LIMIT
) -> wire.Invites:
    """List all invites, newest first. Contract: "List Invites"."""
    found = await call.services.invites.page(call.actor, cursor=cursor, limit=limit)
    return wire.Invites.of(found)


async def create_invite(call: Call, body: wire.InviteCreate) -> wire.Invite:
    """Make a code that lets somebody register. Contract: "Create Invite"."""
    made = await call.services.invites.create(
        call.actor, expires_in_hours=body.expires_in_hours, max_uses=body.max_uses
    )
    return wire.Invite.of(made)


async def revoke_invite(call: Call, code: str) -> None:
    """Make an invite useless. Contract: "Revoke Invite"."""
    await call.services.invites.revoke(call.actor, code)


async def list_audit(
    call: Call,
    *,
    q: str = "",
    action: str = "",
    since: datetime | None = None,
    cursor: str | None = None,
    limit: Limit = LIMIT,
) -> wire.Audit:
    """List what was done, newest first. Contract: "List Audit Entries"."""
    found = await call.services.audit.page(
        call.actor, q=q, action=action, since=parse_time(since) or 0, cursor=cursor, limit=limit
    )
    return wire.Audit.of(found)
