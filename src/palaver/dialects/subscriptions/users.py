"""The chapter "Users"."""

from palaver.dialects.subscriptions import wire
from palaver.web.call import Call


async def me(call: Call) -> wire.User:
    """Return who is signed in. Contract: "Get Current User"."""
    return wire.User.of(await call.services.accounts.me(call.actor))


async def subscription(call: Call) -> wire.Subscription:
    """Return one's subscription, with the plan that it is to. Contract: "Get User Subscription"."""
    plan, current = await call.services.plans.current(call.actor)
    return wire.Subscription.of(plan, current)
