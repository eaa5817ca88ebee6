"""Plans and subscriptions in the database, and what links them to chatbots and models."""

from typing import Final

from palaver.domain.plans import Plan, Subscription
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_PLAN: Final = ", ".join(f"plans.{name}" for name in Plan.__struct_fields__)

PLAN_OF_USER: Final = """coalesce(
    (select subscriptions.plan_id from subscriptions
        where subscriptions.owner_id = :owner_id and subscriptions.start_at <= :at
            and (subscriptions.end_at is null or subscriptions.end_at > :at)
        order by subscriptions.start_at desc, subscriptions.id desc limit 1),
    (select plans.id from plans where plans.is_default = 1))"""
"""The id of the plan that `:owner_id` is on at `:at`, for the statements of other stores too."""

_GET: Final = Statement(f"select {_PLAN} from plans where id = :id", Plan)
_DEFAULT: Final = Statement(f"select {_PLAN} from plans where is_default = 1", Plan)
_CURRENT: Final = Statement(
    """select id, owner_id, plan_id, start_at, end_at, created_at from subscriptions
    where owner_id = :owner_id and start_at <= :at and (end_at is null or end_at > :at)
    order by start_at desc, id desc limit 1""",
    Subscription,
)


def _standing(subscribed_at: int | None, *columns: object) -> tuple[Plan, int | None]:
    return Plan(*columns), subscribed_at  # type: ignore[arg-type]  # the columns of a plan


_STANDING: Final = Statement(
    f"""select subscriptions.start_at, {_PLAN}
    from users
    left join subscriptions on subscriptions.id = (
        select mine.id from subscriptions as mine
        where mine.owner_id = users.id and mine.start_at <= :at
            and (mine.end_at is null or mine.end_at > :at)
        order by mine.start_at desc, mine.id desc limit 1)
    join plans on plans.id = coalesce(
        subscriptions.plan_id, (select id from plans where is_default = 1))
    where users.id = :owner_id""",
    _standing,
)

_MODEL_IDS: Final = Statement(
    f"select model_id from plan_models where plan_id = {PLAN_OF_USER}", int
)


class PlanStore:
    """`plans`, `subscriptions`, `plan_chatbots`, `plan_models`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, id: int) -> Plan | None:
        """Return a plan."""
        return await self._connection.one(_GET, id=id)

    async def default(self) -> Plan | None:
        """Return the plan of users without a subscription."""
        return await self._connection.one(_DEFAULT)

    async def standing(self, *, owner_id: int, at: int) -> tuple[Plan, int | None] | None:
        """Return the plan that a user is on, and when their subscription to it began.

        Without a subscription it is the default plan, and None.
        """
        return await self._connection.one(_STANDING, owner_id=owner_id, at=at)

    async def current(self, *, owner_id: int, at: int) -> Subscription | None:
        """Return a user's subscription at an instant; of several the one that began last."""
        return await self._connection.one(_CURRENT, owner_id=owner_id, at=at)

    async def model_ids(self, *, owner_id: int, at: int) -> list[int]:
        """Return the ids of the models that are linked to the plan that a user is on."""
        return await self._connection.all(_MODEL_IDS, owner_id=owner_id, at=at)
