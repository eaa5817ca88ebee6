"""Subscriptions: who is on which plan, since when and how long. For administrators."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from palaver.domain.cursors import LAST_ID, LIMIT, LIMIT_MAX, Stretch, parse_cursor
from palaver.domain.errors import Fault, InvalidInput, NotFound
from palaver.domain.plans import DAY_MICROSECONDS, Plan, Subscriber, Subscription
from palaver.domain.users import Actor, AuditAction, User
from palaver.kit.clock import Clock, system_clock
from palaver.services.accounts import user_named
from palaver.services.audit import note
from palaver.services.ledger import recount
from palaver.storage.database import Database, retrying
from palaver.storage.tx import Tx

UserKey: TypeAlias = int | str
"""A user's id, or their uuid."""


LAST_INSTANT: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999: no calendar here goes further."""


class SubscriptionService:
    """People with their plans. A user has one subscription at a time, or none."""

    def __init__(self, db: Database, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.clock = clock

    async def list(
        self, actor: Actor, *, cursor: str | None = None, limit: int = LIMIT
    ) -> Stretch[Subscriber]:
        """Return accounts with their plans, newest first, at most 1000. Raises `InvalidInput`."""
        actor.require_admin()
        before, limit = parse_cursor(cursor, first=LAST_ID), min(limit, LIMIT_MAX)
        async with self.db.read(snapshot=True) as tx:
            users = await tx.users.list(before=before, limit=limit + 1)
            people = await self._subscribers(tx, users)
        return Stretch.of(people, limit=limit, id=lambda item: item.user.id)

    async def get(self, actor: Actor, user: UserKey) -> Subscriber:
        """Return an account with its plan. Raises `NotFound`."""
        actor.require_admin()
        async with self.db.read(snapshot=True) as tx:
            (person,) = await self._subscribers(tx, [await _user(tx, user)])
        return person

    async def get_by_name(self, actor: Actor, name: str) -> Subscriber:
        """Return the account with this user name or e-mail address. Raises `NotFound`."""
        actor.require_admin()
        async with self.db.read(snapshot=True) as tx:
            (person,) = await self._subscribers(tx, [await user_named(tx, name)])
        return person

    @retrying
    async def assign(
        self,
        actor: Actor,
        user: UserKey,
        *,
        plan_id: int,
        start_at: int | None = None,
        end_at: int | None = None,
    ) -> Subscription:
        """Begin a subscription, now or at `start_at`; what the user had ends at that instant.

        Without an end it lasts as long as the plan says, or without end. What the user has used
        since it began counts for it, also where that lies in the past. Raises `NotFound`,
        `InvalidInput` (`plan_id`, `start_date`, `end_date`).
        """
        actor.require_admin()
        at = self.clock()
        start_at = at if start_at is None else start_at
        _check_time(start_at, end_at)
        async with self.db.transaction() as tx:
            owner = await _user(tx, user)
            await tx.users.lock_usage(owner.id)
            plan = await _plan(tx, plan_id)
            if end_at is None and plan.duration_days:
                end_at = start_at + plan.duration_days * DAY_MICROSECONDS
                _check_time(start_at, end_at)
            await tx.subscriptions.end(owner.id, at=start_at)
            subscription = await tx.subscriptions.insert(
                owner_id=owner.id, plan_id=plan.id, start_at=start_at, end_at=end_at, at=at
            )
            done = AuditAction.SUBSCRIBED
            await note(tx, actor, done, owner.username, details=[plan.name], at=at)
            await recount(tx, owner.id, at=at)
        return subscription

    @retrying
    async def end(self, actor: Actor, user: UserKey) -> None:
        """End a user's subscription now; they are on the default plan. Raises `NotFound`."""
        actor.require_admin()
        at = self.clock()
        async with self.db.transaction() as tx:
            owner = await _user(tx, user)
            await tx.users.lock_usage(owner.id)
            if not await tx.subscriptions.end(owner.id, at=at):
                raise NotFound("subscription")
            await note(tx, actor, AuditAction.UNSUBSCRIBED, owner.username, at=at)
            await recount(tx, owner.id, at=at)

    async def _subscribers(self, tx: Tx, users: Sequence[User]) -> Sequence[Subscriber]:
        if not users:
            return []
        ids = [user.id for user in users]
        found = await tx.subscriptions.current_between(min(ids), max(ids), at=self.clock())
        plans = await tx.plans.all()
        by_id = {plan.id: plan for plan in plans}
        default = next(plan for plan in plans if plan.is_default)
        people = []
        for user in users:
            mine = found.get(user.id)
            people.append(Subscriber(user, by_id[mine.plan_id] if mine else default, mine))
        return people


async def _user(tx: Tx, user: UserKey) -> User:
    if isinstance(user, int):
        return await tx.users.get(user)
    return await tx.users.get_by_uuid(user)


async def _plan(tx: Tx, id: int) -> Plan:
    """Return a plan that can be subscribed to, and that nobody removes meanwhile."""
    await tx.plans.lock_all()
    plan = await tx.plans.get(id)
    if plan is None or not plan.is_active:
        what = "There is no plan with this id." if plan is None else "This plan is not active."
        raise InvalidInput.of("plan_id", Fault.NOT_ALLOWED, what)
    return plan


def _check_time(start_at: int, end_at: int | None) -> None:
    if start_at < 0:
        raise InvalidInput.of("start_date", Fault.TOO_SMALL, "Nothing began before 1970.")
    if end_at is not None and end_at <= start_at:
        message = "A subscription ends after it has begun."
        raise InvalidInput.of("end_date", Fault.TOO_SMALL, message)
    if max(start_at, end_at or 0) > LAST_INSTANT:
        field = "start_date" if start_at > LAST_INSTANT else "end_date"
        raise InvalidInput.of(field, Fault.TOO_LARGE, "No subscription lasts beyond the year 9999.")
