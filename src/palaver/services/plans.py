"""Plans: one's own, and all of them for administrators."""

from collections.abc import Iterable

from msgspec import UNSET
from msgspec.structs import replace

from palaver.domain.cursors import LIMIT, LIMIT_MAX, Stretch, parse_cursor
from palaver.domain.errors import DomainError, ErrorKind, Fault, FieldFault, InvalidInput, NotFound
from palaver.domain.plans import NEW, LinkedPlan, Plan, PlanChange, Subscription
from palaver.domain.users import Actor, AuditAction
from palaver.kit.clock import Clock, system_clock
from palaver.services.audit import note
from palaver.storage.database import Database, retrying
from palaver.storage.tx import Tx


class PlanService:
    """What people may use; exactly one plan is the default, of those without a subscription."""

    def __init__(self, db: Database, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.clock = clock

    async def current(self, actor: Actor) -> tuple[Plan, Subscription]:
        """Return the plan that the caller has subscribed to, and the subscription.

        Raises `NotFound` for who has none: they are on the default plan.
        """
        async with self.db.read(snapshot=True) as tx:
            found = await tx.subscriptions.current(owner_id=actor.owner_id, at=self.clock())
            plan = None if found is None else await tx.plans.get(found.plan_id)
        if found is None or plan is None:
            raise NotFound("subscription")
        return plan, found

    async def list(
        self, actor: Actor, *, cursor: str | None = None, limit: int = LIMIT
    ) -> Stretch[LinkedPlan]:
        """Return plans, oldest first, at most 1000. For administrators. Raises `InvalidInput`."""
        actor.require_admin()
        after, limit = parse_cursor(cursor, first=0), min(limit, LIMIT_MAX)
        async with self.db.read(snapshot=True) as tx:
            linked = await tx.plans.linked(await tx.plans.page(after=after, limit=limit + 1))
        return Stretch.of(linked, limit=limit, id=lambda item: item.plan.id)

    async def get(self, actor: Actor, id: int) -> LinkedPlan:
        """Return a plan. For administrators. Raises `NotFound`."""
        actor.require_admin()
        async with self.db.read(snapshot=True) as tx:
            return await _linked(tx, await _get(tx, id))

    @retrying
    async def create(self, actor: Actor, change: PlanChange) -> LinkedPlan:
        """Make a plan. For administrators.

        Raises `InvalidInput`, `DomainError` (`CONFLICT`: a name or SKU that another plan has).
        """
        actor.require_admin()
        if change.name is UNSET:
            raise InvalidInput.of("name", Fault.MISSING, "This field is required.")
        plan = replace(NEW, **change.columns(), created_at=self.clock())
        async with self.db.transaction() as tx:
            await tx.plans.lock_all()
            await _check(tx, plan)
            if plan.is_default:
                await tx.plans.dethrone(except_id=plan.id)
            plan = await tx.plans.insert(plan)
            await _link(tx, plan, change)
            await note(tx, actor, AuditAction.PLAN_CREATED, plan.name, at=self.clock())
            return await _linked(tx, plan)

    @retrying
    async def update(self, actor: Actor, id: int, change: PlanChange) -> LinkedPlan:
        """Change what is said of a plan; it counts for everybody on it at once.

        For administrators. Raises as `create` does, `NotFound`, and `CONFLICT` for what would leave
        no default plan.
        """
        actor.require_admin()
        columns = change.columns()
        async with self.db.transaction() as tx:
            await tx.plans.lock_all()
            former = await _get(tx, id)
            plan = replace(former, **columns)
            if former.is_default and not plan.is_default:
                raise _conflict("Make another plan the default, and this one is it no longer.")
            await _check(tx, plan)
            if plan.is_default:
                await tx.plans.dethrone(except_id=plan.id)
            await tx.plans.save(plan)
            await _link(tx, plan, change)
            done = AuditAction.PLAN_CHANGED
            await note(tx, actor, done, plan.name, details=change.given, at=self.clock())
            return await _linked(tx, plan)

    @retrying
    async def delete(self, actor: Actor, id: int) -> None:
        """Remove a plan that nobody has ever subscribed to. For administrators.

        Raises `NotFound`, `DomainError` (`CONFLICT`: the default one, or one that is in use).
        """
        actor.require_admin()
        async with self.db.transaction() as tx:
            await tx.plans.lock_all()
            plan = await _get(tx, id)
            if plan.is_default:
                raise _conflict("This is the default plan: make another one that first.")
            if await tx.plans.is_used(id):
                raise _conflict("There are subscriptions to this plan: deactivate it instead.")
            await tx.plans.delete(id)
            await note(tx, actor, AuditAction.PLAN_DELETED, plan.name, at=self.clock())


async def _get(tx: Tx, id: int) -> Plan:
    plan = await tx.plans.get(id)
    if plan is None:
        raise NotFound("plan")
    return plan


async def _linked(tx: Tx, plan: Plan) -> LinkedPlan:
    (linked,) = await tx.plans.linked([plan])
    return linked


async def _check(tx: Tx, plan: Plan) -> None:
    if taken := await tx.plans.taken(plan):
        raise _conflict(f"Another plan has this {' and this '.join(taken)}.")
    if plan.is_default and not plan.is_active:
        raise _conflict("The default plan has to be active.")


async def _link(tx: Tx, plan: Plan, change: PlanChange) -> None:
    """Link what is given; only ids are written that there are. Raises `InvalidInput`."""
    faults: list[FieldFault] = []
    if change.chatbot_ids is not UNSET:
        there = {chatbot.id for chatbot in await tx.chatbots.all()}
        if unknown := set(change.chatbot_ids) - there:
            faults.append(_unknown("chatbot", unknown))
        else:
            await tx.plans.link_chatbots(plan.id, change.chatbot_ids)
    if change.model_ids is not UNSET:
        if unknown := set(change.model_ids) - await tx.models.ids():
            faults.append(_unknown("model", unknown))
        else:
            await tx.plans.link_models(plan.id, change.model_ids)
    if faults:
        raise InvalidInput(faults)


def _unknown(noun: str, ids: Iterable[int]) -> FieldFault:
    message = f"There is no {noun} {', '.join(map(str, sorted(ids)))}."
    return FieldFault(("body", f"{noun}_ids"), Fault.NOT_ALLOWED, message)


def _conflict(message: str) -> DomainError:
    return DomainError(message, kind=ErrorKind.CONFLICT)
