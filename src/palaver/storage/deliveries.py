"""Deliveries as those see them who send: which endpoints wait, and what is sent to one next.

A worker serves an endpoint while it holds the endpoint's lease, so first tries go out one at a
time and in order, whichever worker it is. What came of a try is fenced by the number of tries.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec

from palaver.domain.webhooks import (
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    WebhookEndpoint,
    WebhookEvent,
)
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement
from palaver.storage.webhooks import COLUMNS

Place: TypeAlias = tuple[int, int]
"""Where a delivery stands among those of its endpoint: when it was made, and its id."""

_encode: Final = msgspec.json.Encoder().encode


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """An endpoint for which something is due."""

    id: int
    failing_since: int | None


def _id(id: int) -> int:
    return id


def _place(at: int, id: int) -> Place:
    return at, id


def _delivery(*columns: Any) -> Delivery:
    id, state, tries, due_at, begun_at, finished_at, *event = columns
    return Delivery(id, state, tries, due_at, begun_at, finished_at, WebhookEvent(*event))


# From endpoint to endpoint by leaps through the index of what waits: nothing waits, one look.
_WAITING: Final = Statement(
    """with recursive waiting(id) as (
            select min(endpoint_id) from webhook_deliveries where finished_at is null
            union all
            select (select min(d.endpoint_id) from webhook_deliveries d
                where d.finished_at is null and d.endpoint_id > waiting.id)
            from waiting where waiting.id is not null)
        select e.id, e.failing_since
        from waiting join webhook_endpoints e on e.id = waiting.id
        where e.leased_until <= {now} and (e.is_active = 0 or (e.held_until <= :at and exists (
            select 1 from webhook_deliveries d
            where d.endpoint_id = e.id and d.finished_at is null
                and d.state in ('new', 'retrying') and d.due_at <= :at)))
        order by e.leased_until, e.id""",
    Waiting,
)
_CLAIM: Final = Statement(
    """update webhook_endpoints set worker = :worker, leased_until = {now} + :lease
    where id {in_numbers ids} and leased_until <= {now} returning id""",
    _id,
)
_KEEP: Final[Statement[None]] = Statement(
    """update webhook_endpoints set leased_until = {now} + :lease
    where id {in_numbers ids} and worker = :worker"""
)
# Whoever was served last is claimed last. Without a worker: a late renewal is for nobody.
_RELEASE: Final[Statement[None]] = Statement(
    """update webhook_endpoints set leased_until = {now}, worker = null
    where id {in_numbers ids} and worker = :worker"""
)
_TAKE_BACK: Final[Statement[None]] = Statement(
    "update webhook_endpoints set leased_until = 0 where leased_until > 0"
)
_ENDPOINT: Final = Statement(
    f"select {COLUMNS} from webhook_endpoints where id = :id", WebhookEndpoint
)
_ENDPOINT_OF: Final = Statement(
    f"select {COLUMNS} from webhook_endpoints where uuid = :uuid and deleted_at is null",
    WebhookEndpoint,
)
_DELIVERY_COLUMNS: Final = """d.id, d.state, d.tries, d.due_at, d.begun_at, d.finished_at,
    v.uuid, v.kind, v.data, v.texts, v.created_at"""
_JOINED: Final = "webhook_deliveries d join webhook_events v on v.id = d.event_id"
_NEXT: Final = Statement(
    f"""select {_DELIVERY_COLUMNS} from {_JOINED}
    where d.endpoint_id = :endpoint_id and d.finished_at is null
        and d.state = :state and d.due_at <= :at
    order by d.due_at, d.id limit :limit""",
    _delivery,
)
# A success counts whenever it comes; a failure only if nobody has tried since.
_RECORD: Final = Statement(
    """update webhook_deliveries
    set state = :state, tries = tries + 1, due_at = :due_at, finished_at = :finished_at
    where id = :id and finished_at is null
        and (tries = :tries or cast(:state as text) = 'delivered')
    returning id""",
    _id,
)
_LOG: Final[Statement[None]] = Statement(
    """insert into webhook_attempts
        (delivery_id, number, at, duration_ms, headers, status, error, answer)
    values (:delivery_id, :number, :at, :duration_ms, :headers, :status, :error, :answer)"""
)
_SUCCEED: Final[Statement[None]] = Statement(
    "update webhook_endpoints set failing_since = null where id = :id and failing_since is not null"
)
_FAIL: Final[Statement[None]] = Statement(
    """update webhook_endpoints set failing_since = coalesce(failing_since, :at),
        held_until = case when held_until < :held_until then :held_until else held_until end
    where id = :id"""
)
_DISABLE: Final[Statement[None]] = Statement(
    """update webhook_endpoints set is_active = 0, disabled_reason = :reason
    where id = :id and is_active = 1"""
)
_ABANDON: Final = Statement(
    """update webhook_deliveries set state = 'failed', finished_at = :at
    where id in (select id from webhook_deliveries
        where endpoint_id = :endpoint_id and finished_at is null limit :limit)
    returning id""",
    _id,
)
_LIST: Final = Statement(
    f"""select {_DELIVERY_COLUMNS} from {_JOINED} where d.endpoint_id = :endpoint_id
    order by d.created_at desc, d.id desc limit :limit offset :offset""",
    _delivery,
)
_LIST_BEFORE: Final = Statement(
    f"""select {_DELIVERY_COLUMNS} from {_JOINED} where d.endpoint_id = :endpoint_id
        and (d.created_at, d.id) < (cast(:at as bigint), cast(:id as bigint))
    order by d.created_at desc, d.id desc limit :limit""",
    _delivery,
)
_FIND: Final = Statement(
    f"""select {_DELIVERY_COLUMNS} from {_JOINED}
    where d.endpoint_id = :endpoint_id and v.uuid = :uuid""",
    _delivery,
)
_ATTEMPTS: Final = Statement(
    """select delivery_id, number, at, duration_ms, headers, status, error, answer
    from webhook_attempts where delivery_id {in_numbers ids} order by delivery_id, id""",
    DeliveryAttempt,
)
_BEGIN: Final = "set state = 'new', tries = 0, due_at = 0, begun_at = :at, finished_at = null"
_REDELIVER: Final[Statement[None]] = Statement(f"update webhook_deliveries {_BEGIN} where id = :id")
_REDELIVER_AFTER: Final = Statement(
    f"""update webhook_deliveries {_BEGIN}
    where id in (
        select id from webhook_deliveries
        where endpoint_id = :endpoint_id and finished_at is not null
            and (created_at, id) > (cast(:after_at as bigint), cast(:after_id as bigint))
            and (state = 'failed' or cast(:all as bigint) = 1)
        order by created_at, id limit :limit)
    returning created_at, id""",
    _place,
)


class DeliveryStore:
    """`webhook_deliveries`, `webhook_attempts`, and the leases of `webhook_endpoints`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def waiting(self, *, at: int) -> Sequence[Waiting]:
        """Return the endpoints that something is due for, and nobody serves."""
        return await self._connection.all(_WAITING, at=at)

    async def claim(self, ids: Sequence[int], *, worker: str, lease: int) -> Sequence[int]:
        """Lease endpoints for so many microseconds; return those that are ours now."""
        return await self._connection.all(_CLAIM, ids=_listed(ids), worker=worker, lease=lease)

    async def keep(self, ids: Sequence[int], *, worker: str, lease: int) -> None:
        """Prolong what is still ours."""
        await self._connection.run(_KEEP, ids=_listed(ids), worker=worker, lease=lease)

    async def release(self, ids: Sequence[int], *, worker: str) -> None:
        """Give endpoints back."""
        await self._connection.run(_RELEASE, ids=_listed(ids), worker=worker)

    async def take_back(self) -> None:
        """End every lease: for a process that knows to be alone, before it serves anybody."""
        await self._connection.run(_TAKE_BACK)

    async def endpoint_of(self, uuid: str) -> WebhookEndpoint | None:
        """Return anybody's endpoint with this uuid."""
        return await self._connection.one(_ENDPOINT_OF, uuid=uuid)

    async def endpoint(self, id: int) -> WebhookEndpoint | None:
        """Return an endpoint that is served, deleted or not."""
        return await self._connection.one(_ENDPOINT, id=id)

    async def next(
        self, endpoint_id: int, state: DeliveryState, *, at: int, limit: int
    ) -> Sequence[Delivery]:
        """Return what is due, in the order in which it goes out."""
        return await self._connection.all(
            _NEXT, endpoint_id=endpoint_id, state=state, at=at, limit=limit
        )

    async def record(
        self,
        delivery: Delivery,
        attempt: DeliveryAttempt,
        *,
        state: DeliveryState,
        due_at: int,
        finished_at: int | None,
    ) -> bool:
        """Store what came of a try, with its line of the log; False where it is out of date."""
        recorded = await self._connection.one(
            _RECORD,
            id=delivery.id,
            tries=delivery.tries,
            state=state,
            due_at=due_at,
            finished_at=finished_at,
        )
        if recorded is not None:
            await self._connection.run(_LOG, **msgspec.structs.asdict(attempt))
        return recorded is not None

    async def succeed(self, endpoint_id: int) -> None:
        """Note that an endpoint that was failing works."""
        await self._connection.run(_SUCCEED, id=endpoint_id)

    async def fail(self, endpoint_id: int, *, held_until: int, at: int) -> None:
        """Note that an endpoint fails, and that it wants to be left alone for a while."""
        await self._connection.run(_FAIL, id=endpoint_id, held_until=held_until, at=at)

    async def disable(self, endpoint_id: int, *, reason: str) -> None:
        """Turn an endpoint off."""
        await self._connection.run(_DISABLE, id=endpoint_id, reason=reason)

    async def abandon(self, endpoint_id: int, *, at: int, limit: int) -> int:
        """Give up some of what an endpoint still waits for; return how many."""
        return len(
            await self._connection.all(_ABANDON, endpoint_id=endpoint_id, at=at, limit=limit)
        )

    async def list(self, endpoint_id: int, *, limit: int, offset: int = 0) -> Sequence[Delivery]:
        """Return the newest first, from `offset` on, each with its tries."""
        found = await self._connection.all(
            _LIST, endpoint_id=endpoint_id, limit=limit, offset=offset
        )
        return await self._with_attempts(found)

    async def list_before(
        self, endpoint_id: int, before: Place, *, limit: int
    ) -> Sequence[Delivery]:
        """Return the newest before a place first, each with its tries."""
        at, id = before
        found = await self._connection.all(
            _LIST_BEFORE, endpoint_id=endpoint_id, at=at, id=id, limit=limit
        )
        return await self._with_attempts(found)

    async def find(self, endpoint_id: int, uuid: str) -> Delivery | None:
        """Return the delivery of an event, by the event's uuid."""
        found = await self._connection.one(_FIND, endpoint_id=endpoint_id, uuid=uuid)
        return None if found is None else (await self._with_attempts([found]))[0]

    async def redeliver(self, id: int, *, at: int) -> None:
        """Let a delivery begin anew."""
        await self._connection.run(_REDELIVER, id=id, at=at)

    async def redeliver_after(
        self, endpoint_id: int, after: Place, *, failed_only: bool, at: int, limit: int
    ) -> Sequence[Place]:
        """Let the next finished deliveries behind a place begin anew; return theirs."""
        return await self._connection.all(
            _REDELIVER_AFTER,
            endpoint_id=endpoint_id,
            after_at=after[0],
            after_id=after[1],
            all=int(not failed_only),
            at=at,
            limit=limit,
        )

    async def _with_attempts(self, found: Sequence[Delivery]) -> Sequence[Delivery]:
        if not found:
            return found
        attempts: dict[int, list[DeliveryAttempt]] = {each.id: [] for each in found}
        for attempt in await self._connection.all(_ATTEMPTS, ids=_listed(list(attempts))):
            attempts[attempt.delivery_id].append(attempt)
        return [msgspec.structs.replace(each, attempts=attempts[each.id]) for each in found]


def _listed(ids: Sequence[int]) -> str:
    return _encode(ids).decode()
