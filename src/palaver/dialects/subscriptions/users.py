"""The chapter "Users"."""

from palaver.dialects.subscriptions import users_wire
from palaver.web.call import Call


async def me(call: Call) -> users_wire.User:
    """Return who is signed in. Contract: "Get Current User"."""
    return users_wire.User.of(await call.services.accounts.me(call.actor))


async def subscription(call: Call) -> users_wire.Subscription:
    """Return one's subscription, with the plan that it is to. Contract: "Get User Subscription"."""
    plan, current = await call.services.plans.current(call.actor)
    return users_wire.Subscription.of(plan, current)
