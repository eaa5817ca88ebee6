"""Subscriptions in the database: who is, was or will be on which plan."""

from typing import Final

from palaver.domain.plans import Subscription
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_COLUMNS: Final = ", ".join(Subscription.__struct_fields__)

_CURRENT_BETWEEN: Final = Statement(
    f"""select {_COLUMNS} from subscriptions
    where owner_id >= :first and owner_id <= :last
        and start_at <= :at and (end_at is null or end_at > :at)
    order by owner_id, start_at, id""",
    Subscription,
)
_INSERT: Final = Statement(
    f"""insert into subscriptions (owner_id, plan_id, start_at, end_at, created_at)
    values (:owner_id, :plan_id, :start_at, :end_at, :at) returning {_COLUMNS}""",
    Subscription,
)
# What begins later has never been: it ends as it begins, and counts at no instant.
_END: Final[Statement[None]] = Statement(
    """update subscriptions set end_at = case when start_at > :at then start_at else :at end
    where owner_id = :owner_id and (end_at is null or (end_at > :at and end_at > start_at))"""
)


class SubscriptionStore:
    """`subscriptions`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def current_between(self, first: int, last: int, *, at: int) -> dict[int, Subscription]:
        """Return, by owner, the subscriptions at an instant of all users in a range of ids."""
        found = await self._connection.all(_CURRENT_BETWEEN, first=first, last=last, at=at)
        return {subscription.owner_id: subscription for subscription in found}

    async def insert(
        self, *, owner_id: int, plan_id: int, start_at: int, end_at: int | None, at: int
    ) -> Subscription:
        """Store a subscription; its owner's row is held by the caller."""
        stored = await self._connection.one(
            _INSERT, owner_id=owner_id, plan_id=plan_id, start_at=start_at, end_at=end_at, at=at
        )
        assert stored is not None  # noqa: S101  # an insert returns its row
        return stored

    async def end(self, owner_id: int, *, at: int) -> bool:
        """End what a user has from an instant on; False when that was nothing."""
        return await self._connection.run(_END, owner_id=owner_id, at=at) > 0
