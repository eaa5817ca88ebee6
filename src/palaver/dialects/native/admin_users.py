"""The chapters "Users" and "Subscriptions"."""

from palaver.dialects.native import admin_wire, wire
from palaver.domain.cursors import LIMIT
from palaver.domain.errors import NotFound
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
