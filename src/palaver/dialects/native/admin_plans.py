"""The chapter "Plans"."""

from palaver.dialects.native import admin_wire, wire
from palaver.domain.cursors import LIMIT
from palaver.web.call import Call


async def list_(
    call: Call, *, cursor: str | None = None, limit: wire.Limit = LIMIT
) -> admin_wire.Plans:
    """List all plans, oldest first. Contract: "List Plans"."""
    found = await call.services.plans.list(call.actor, cursor=cursor, limit=limit)
    return admin_wire.Plans.of(found)


async def create(call: Call, body: admin_wire.PlanCreate) -> admin_wire.Plan:
    """Make a plan. Contract: "Create Plan"."""
    return admin_wire.Plan.of(await call.services.plans.create(call.actor, body.change))


async def get(call: Call, plan_id: int) -> admin_wire.Plan:
    """Get a plan. Contract: "Get Plan"."""
    return admin_wire.Plan.of(await call.services.plans.get(call.actor, plan_id))


async def update(call: Call, plan_id: int, body: admin_wire.PlanUpdate) -> admin_wire.Plan:
    """Change what is said of a plan, for everybody on it. Contract: "Update Plan"."""
    return admin_wire.Plan.of(await call.services.plans.update(call.actor, plan_id, body.change))


async def delete(call: Call, plan_id: int) -> None:
    """Remove a plan that nobody has ever subscribed to. Contract: "Delete Plan"."""
    await call.services.plans.delete(call.actor, plan_id)
