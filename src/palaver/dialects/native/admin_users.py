"""The chapters "Users" and "Subscriptions"."""

from palaver.dialects.native import admin_wire, wire
from palaver.dialects.native.wire import render_time
from palaver.domain.cursors import LIMIT
from palaver.domain.errors import NotFound
from palaver.domain.users import Role
from palaver.kit.ids import parse_uuid
from palaver.web.bodies import INT64_MAX
from palaver.web.call import Call


async def list_(
    call: Call, *, cursor: str | None = None, limit: wire.Limit = LIMIT
) -> admin_wire.Users:
    """List all accounts with their plans, newest first. Contract: "List Users"."""
    found = await call.services.subscriptions.list(call.actor, cursor=cursor, limit=limit)
    return admin_wire.Users.of(found)


async def get(call: Call, user: str) -> admin_wire.User:
    """Get an account with its plan. Contract: "Get User"."""
    return admin_wire.User.of(await call.services.subscriptions.get(call.actor, _key(user)))


async def create(call: Call, body: admin_wire.UserCreate) -> admin_wire.User:
    """Make an account for somebody. Contract: "Create User"."""
    made = await call.services.registrations.create(
        call.actor, body.registration, role=Role(body.role)
    )
    return admin_wire.User.of(await call.services.subscriptions.get(call.actor, made.id))


async def update(call: Call, user: str, body: admin_wire.UserUpdate) -> admin_wire.User:
    """Change what somebody may do, or whether they may sign in. Contract: "Update User"."""
    person = await call.services.subscriptions.get(call.actor, _key(user))
    role = None if body.role is None else Role(body.role)
    await call.services.accounts.update(
        call.actor, person.user.id, role=role, is_active=body.is_active
    )
    return admin_wire.User.of(await call.services.subscriptions.get(call.actor, person.user.id))


async def delete(call: Call, user: str) -> None:
    """Delete somebody's account, with all that it holds. Contract: "Delete User"."""
    await call.services.accounts.delete(call.actor, _key(user))


async def reset_password(call: Call, user: str) -> admin_wire.PasswordReset:
    """Make a link by which somebody chooses a new password. Contract: "Reset Password"."""
    made = await call.services.password_resets.create(call.actor, _key(user))
    return admin_wire.PasswordReset(call.origin + made.path, render_time(made.expires_at))


async def remove_second_factor(call: Call, user: str) -> None:
    """Take off the second factor of somebody who lost it.

    Contract: "Remove User's Second Factor".
    """
    await call.services.second_factor.remove(call.actor, _key(user))


async def subscribe(
    call: Call, user: str, body: admin_wire.SubscriptionSet
) -> admin_wire.Subscription:
    """Put a user on a plan; what they had ends as this begins. Contract: "Set Subscription"."""
    made = await call.services.subscriptions.assign(
        call.actor,
        _key(user),
        plan_id=body.plan_id,
        start_at=admin_wire.parse_time(body.start_date),
        end_at=admin_wire.parse_time(body.end_date),
    )
    return admin_wire.Subscription.of(made, is_active=made.is_current(at=made.created_at))


async def unsubscribe(call: Call, user: str) -> None:
    """End a user's subscription now. Contract: "End Subscription"."""
    await call.services.subscriptions.end(call.actor, _key(user))


def _key(user: str) -> int | str:
    """Return a uuid, or the integer id under which other contracts show the same account."""
    if user.isascii() and user.isdigit() and len(user) <= 19:
        number = int(user)
        if number <= INT64_MAX:
            return number
    if (uuid := parse_uuid(user)) is None:
        raise NotFound("user")
    return uuid
