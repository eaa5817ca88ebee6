"""The chapter "Admin"."""

from datetime import datetime

from palaver.dialects.streaming import admin_wire, wire
from palaver.dialects.streaming.authentication import signed_in
from palaver.web.call import Call


async def may_bootstrap(call: Call) -> None:
    """Refuse where no token makes an administrator. Contract: "Bootstrap Admin"."""
    await call.services.registrations.check_bootstrap(call.actor)


async def bootstrap(call: Call, body: admin_wire.Bootstrap) -> wire.SignedIn:
    """Make the first administrator, by the token in `X-Bootstrap-Token`, and sign them in.

    Contract: "Bootstrap Admin".
    """
    sign_in = await call.services.registrations.bootstrap(
        call.actor,
        token=call.header(b"x-bootstrap-token") or "",
        username=body.username,
        password=body.password,
    )
    return signed_in(call, sign_in)


async def list_users(
    call: Call, *, limit: wire.Limit = wire.LIST_LIMIT, before: wire.ItemId = wire.LAST_ID
) -> admin_wire.Users:
    """List all users, newest first. Contract: "List Users"."""
    users = await call.services.accounts.list(call.actor, limit=limit, before=before)
    return admin_wire.Users([admin_wire.User.of(user) for user in users])


async def update_user(call: Call, user_id: int, body: admin_wire.UserUpdate) -> admin_wire.User:
    """Change a user's role or status. Beyond the document."""
    user = await call.services.accounts.update(
        call.actor, user_id, role=body.role, is_active=body.is_active
    )
    return admin_wire.User.of(user)


async def create_invite(call: Call, body: admin_wire.InviteCreate) -> admin_wire.NewInvite:
    """Make a code that lets somebody register. Contract: "Create Invite"."""
    invite = await call.services.invites.create(
        call.actor,
        expires_in_hours=body.expires_in_hours,
        max_uses=1 if body.max_uses is None else body.max_uses,
    )
    return admin_wire.NewInvite.of(invite)


async def list_invites(
    call: Call, *, limit: wire.Limit = wire.LIST_LIMIT, before: wire.ItemId = wire.LAST_ID
) -> admin_wire.Invites:
    """List all invites, newest first. Beyond the document."""
    invites = await call.services.invites.list(call.actor, limit=limit, before=before)
    return admin_wire.Invites([admin_wire.Invite.of(invite) for invite in invites])


async def revoke_invite(call: Call, invite: str) -> admin_wire.RevokedInvite:
    """Make an invite useless. Beyond the document."""
    revoked = await call.services.invites.revoke(call.actor, invite)
    return admin_wire.RevokedInvite.of(revoked)


async def list_audit(
    call: Call,
    *,
    q: str = "",
    action: str = "",
    since: datetime | None = None,
    limit: wire.Limit = wire.LIST_LIMIT,
) -> admin_wire.Audit:
    """List what was done since an instant, newest first. Beyond the document."""
    entries = await call.services.audit.list(
        call.actor, q=q, action=action, since=wire.parse_since(since), limit=limit
    )
    return admin_wire.Audit([admin_wire.AuditEntry.of(entry) for entry in entries])
