"""Plans in the database, and what links them to chatbots and models."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from palaver.domain.plans import LinkedPlan, Plan
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement
from palaver.storage.subscriptions import current

_PLAN: Final = ", ".join(f"plans.{name}" for name in Plan.__struct_fields__)

_DEFAULT: Final = "(select plans.id from plans where plans.is_default = 1)"

PLAN_OF_USER: Final = f"coalesce({current('plan_id')}, {_DEFAULT})"
"""The id of the plan that `:owner_id` is on at `:at`, for the statements of other stores too."""

_GET: Final = Statement(f"select {_PLAN} from plans where id = :id", Plan)


def _standing(subscribed_at: int | None, *columns: object) -> tuple[Plan, int | None]:
    return Plan(*columns), subscribed_at  # type: ignore[arg-type]  # the columns of a plan


_STANDING: Final = Statement(
    f"""select subscriptions.start_at, {_PLAN}
    from users
    left join subscriptions on subscriptions.id = {current("id", owner="users.id")}
    join plans on plans.id = coalesce(subscriptions.plan_id, {_DEFAULT})
    where users.id = :owner_id""",
    _standing,
)

_MODEL_IDS: Final = Statement(
    f"select model_id from plan_models where plan_id = {PLAN_OF_USER}", int
)

_NAMES: Final = Plan.__struct_fields__
_GIVEN: Final = tuple(name for name in _NAMES if name not in {"id", "created_at"})
_PAGE: Final = Statement(
    f"select {_PLAN} from plans where id > :after order by id limit :limit", Plan
)
_ALL: Final = Statement(f"select {_PLAN} from plans order by id", Plan)
_LOCK_ALL: Final = Statement("select id from plans order by id {for_update}", int)
_INSERT: Final = Statement(
    f"""insert into plans ({", ".join(_GIVEN)}, created_at)
    values ({", ".join(f":{name}" for name in _GIVEN)}, :created_at) returning {_PLAN}""",
    Plan,
)
_SAVE: Final[Statement[None]] = Statement(
    f"update plans set {', '.join(f'{name} = :{name}' for name in _GIVEN)} where id = :id"
)
_DETHRONE: Final[Statement[None]] = Statement(
    "update plans set is_default = 0 where is_default = 1 and id <> :id"
)
_DELETE: Final[Statement[None]] = Statement("delete from plans where id = :id")
_TAKEN: Final = Statement(
    """select 1, 'name' from plans where name = :name and id <> :id
    union all select 2, 'sku' from plans where sku = :sku and id <> :id order by 1""",
    lambda _, field: str(field),
)
_IS_USED: Final = Statement("select id from subscriptions where plan_id = :id limit 1", int)


class _Link:
    """The statements about a table that links plans to something else."""

    def __init__(self, table: str, column: str) -> None:
        self.between = Statement(
            f"""select plan_id, {column} from {table}
            where plan_id >= :first and plan_id <= :last order by plan_id, {column}""",
            lambda plan_id, other_id: (int(plan_id), int(other_id)),
        )
        self.clear: Statement[None] = Statement(f"delete from {table} where plan_id = :plan_id")
        self.add: Statement[None] = Statement(
            f"insert into {table} (plan_id, {column}) values (:plan_id, :other_id)"
        )


_CHATBOTS: Final = _Link("plan_chatbots", "chatbot_id")
_MODELS: Final = _Link("plan_models", "model_id")


class PlanStore:
    """`plans`, `plan_chatbots`, `plan_models`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, id: int) -> Plan | None:
        """Return a plan."""
        return await self._connection.one(_GET, id=id)

    async def standing(self, *, owner_id: int, at: int) -> tuple[Plan, int | None] | None:
        """Return the plan that a user is on, and when their subscription to it began.

        Without a subscription it is the default plan, and None.
        """
        return await self._connection.one(_STANDING, owner_id=owner_id, at=at)

    async def model_ids(self, *, owner_id: int, at: int) -> list[int]:
        """Return the ids of the models that are linked to the plan that a user is on."""
        return await self._connection.all(_MODEL_IDS, owner_id=owner_id, at=at)

    async def all(self) -> list[Plan]:
        """Return every plan, oldest first."""
        return await self._connection.all(_ALL)

    async def page(self, *, after: int, limit: int) -> list[Plan]:
        """Return plans with ids above `after`, oldest first."""
        return await self._connection.all(_PAGE, after=after, limit=limit)

    async def linked(self, plans: Sequence[Plan]) -> list[LinkedPlan]:
        """Return plans, given in the order of their ids, with what they hold."""
        if not plans:
            return []
        first, last = plans[0].id, plans[-1].id
        chatbots, models = [
            _by_plan(await self._connection.all(link.between, first=first, last=last))
            for link in (_CHATBOTS, _MODELS)
        ]
        return [
            LinkedPlan(plan, tuple(chatbots[plan.id]), tuple(models[plan.id])) for plan in plans
        ]

    async def lock_all(self) -> None:
        """Let nobody else make, change or delete a plan until the transaction ends."""
        await self._connection.all(_LOCK_ALL)

    async def taken(self, plan: Plan) -> list[str]:
        """Return which of `name`, `sku` another plan has, in this order."""
        return await self._connection.all(_TAKEN, id=plan.id, name=plan.name, sku=plan.sku)

    async def insert(self, plan: Plan) -> Plan:
        """Store a new plan, under an id of its own."""
        stored = await self._connection.one(_INSERT, **_values(plan))
        assert stored is not None  # noqa: S101  # an insert returns its row
        return stored

    async def save(self, plan: Plan) -> None:
        """Write a changed plan."""
        await self._connection.run(_SAVE, **_values(plan))

    async def dethrone(self, *, except_id: int) -> None:
        """Let whichever other plan is the default be that no longer."""
        await self._connection.run(_DETHRONE, id=except_id)

    async def delete(self, id: int) -> None:
        """Remove a plan that nobody has subscribed to."""
        await self._connection.run(_DELETE, id=id)

    async def is_used(self, id: int) -> bool:
        """Tell whether anybody has, or had, a subscription to this plan."""
        return await self._connection.one(_IS_USED, id=id) is not None

    async def link_chatbots(self, id: int, chatbot_ids: Iterable[int]) -> None:
        """Let a plan hold these chatbots and no others."""
        await self._link(_CHATBOTS, id, chatbot_ids)

    async def link_models(self, id: int, model_ids: Iterable[int]) -> None:
        """Let a plan hold these models and no others."""
        await self._link(_MODELS, id, model_ids)

    async def _link(self, link: _Link, plan_id: int, other_ids: Iterable[int]) -> None:
        await self._connection.run(link.clear, plan_id=plan_id)
        rows = [{"plan_id": plan_id, "other_id": id} for id in sorted(set(other_ids))]
        if rows:
            await self._connection.many(link.add, rows)


def _by_plan(pairs: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for plan_id, other_id in pairs:
        found[plan_id].append(other_id)
    return found


def _values(plan: Plan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in _NAMES}
