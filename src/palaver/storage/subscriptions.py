"""Subscriptions in the database: who is, was or will be on which plan."""

from typing import Final

from palaver.domain.plans import Subscription
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_COLUMNS: Final = ", ".join(Subscription.__struct_fields__)
_OF_TABLE: Final = ", ".join(f"subscriptions.{name}" for name in Subscription.__struct_fields__)


def current(column: str, *, owner: str = ":owner_id") -> str:
    """Return SQL for a column of the subscription that a user has at `:at`, null without one.

    Of several it is the one that began last. The one text of this, for other stores too.
    """
    return f"""(select mine.{column} from subscriptions as mine
        where mine.owner_id = {owner} and mine.start_at <= :at
            and (mine.end_at is null or mine.end_at > :at)
        order by mine.start_at desc, mine.id desc limit 1)"""


_CURRENT: Final = Statement(
    f"select {_COLUMNS} from subscriptions where id = {current('id')}", Subscription
)
_CURRENT_BETWEEN: Final = Statement(
    f"""select {_OF_TABLE} from users
    join subscriptions on subscriptions.id = {current("id", owner="users.id")}
    where users.id >= :first and users.id <= :last""",
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

    async def current(self, *, owner_id: int, at: int) -> Subscription | None:
        """Return a user's subscription at an instant."""
        return await self._connection.one(_CURRENT, owner_id=owner_id, at=at)

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
