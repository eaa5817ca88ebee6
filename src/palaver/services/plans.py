"""Plans and subscriptions: one's own, and everybody's for administrators."""

from palaver.domain.errors import NotFound
from palaver.domain.plans import Plan, Subscription
from palaver.domain.users import Actor
from palaver.kit.clock import Clock, system_clock
from palaver.storage.database import Database


class PlanService:
    """What people may use, and since when."""

    def __init__(self, db: Database, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.clock = clock

    async def current(self, actor: Actor) -> tuple[Plan, Subscription]:
        """Return the caller's subscription and its plan.

        Raises `NotFound` for who has none: they are on the default plan.
        """
        async with self.db.read(snapshot=True) as tx:
            found = await tx.plans.current(owner_id=actor.owner_id, at=self.clock())
            plan = None if found is None else await tx.plans.get(found.plan_id)
        if found is None or plan is None:
            raise NotFound("subscription")
        return plan, found
