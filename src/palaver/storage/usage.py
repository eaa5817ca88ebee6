"""The ledger in the database: lines, what is held, and the buckets that add both up.

A bucket is what a user has used and holds in five minutes, in a day, since the account was made, or
since a subscription began; it can be made anew from lines and reservations at any time.
"""

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Final

from palaver.domain.limits import STEP, Window, starts_at
from palaver.domain.plans import DAY_MICROSECONDS
from palaver.domain.usage import NOTHING, Amounts, Reservation, UsageEntry, UsageKind
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement


class BucketKind(enum.IntEnum):
    """What a bucket adds up; the numbers are stored."""

    STEP = 1
    DAY = 2
    ACCOUNT = 3
    SUBSCRIPTION = 4


_NEVER: Final = 1 << 62
"""A start that no bucket has: the window is not asked for."""

_AMOUNTS: Final = Amounts.__struct_fields__
_SUMS: Final = ", ".join(f"cast(coalesce(sum({name}), 0) as bigint)" for name in _AMOUNTS)
_RESERVED: Final = ", ".join(Reservation.__struct_fields__)

_RESERVE: Final[Statement[None]] = Statement(
    """insert into reservations (owner_id, generation_id, kind, counted_at, subscribed_at,
        messages, tokens, free_messages, free_tokens, images, cost_micro_usd, expires_at,
        created_at)
    values (:owner_id, :generation_id, :kind, :counted_at, :subscribed_at, :messages, :tokens,
        :free_messages, :free_tokens, :images, :cost_micro_usd, :expires_at, :at)"""
)
_RESERVE_ALONE: Final = Statement(
    """insert into reservations (owner_id, kind, counted_at, subscribed_at,
        messages, tokens, free_messages, free_tokens, images, cost_micro_usd, expires_at,
        created_at)
    values (:owner_id, :kind, :counted_at, :subscribed_at, :messages, :tokens,
        :free_messages, :free_tokens, :images, :cost_micro_usd, :expires_at, :at)
    returning id""",
    int,
)
_RELEASE: Final = Statement(
    f"delete from reservations where generation_id = :generation_id returning {_RESERVED}",
    Reservation,
)
_RELEASE_ALONE: Final = Statement(
    f"""delete from reservations where id = :id
        and (expires_at is null or expires_at < :expired_at)
    returning {_RESERVED}""",
    Reservation,
)
_RENEW: Final = Statement(
    "update reservations set expires_at = :expires_at where id = :id returning id", int
)
_HELD: Final = Statement(
    f"select {_RESERVED} from reservations where owner_id = :owner_id order by id", Reservation
)
_ORPHANS: Final = Statement(
    """select id, owner_id from reservations where expires_at < :at
    union all
    select id, owner_id from reservations where generation_id is not null and not exists (
        select 1 from generations where generations.id = reservations.generation_id
            and state in ('queued', 'running'))
    order by 1 limit 100""",
    lambda id, owner_id: (id, owner_id),
)
_RESUBSCRIBE: Final[Statement[None]] = Statement(
    """update reservations set subscribed_at = :subscribed_at
    where owner_id = :owner_id and counted_at >= :subscribed_at"""
)
_ENTRY: Final = ", ".join(UsageEntry.__struct_fields__)
_APPEND: Final[Statement[None]] = Statement(
    f"""insert into usage_entries ({_ENTRY})
    values ({", ".join(f":{name}" for name in UsageEntry.__struct_fields__)})"""
)


def _entry(*columns: object) -> UsageEntry:
    row: list[Any] = list(columns)
    row[4] = UsageKind(row[4])
    return UsageEntry(*row)


_LIST: Final = Statement(
    f"select {_ENTRY} from usage_entries where owner_id = :owner_id order by id", _entry
)

_BUCKET: Final = "(:owner_id, :{0}_kind, :{0}_at, " + ", ".join(f":{n}" for n in _AMOUNTS) + ")"
_MERGE: Final = "on conflict (owner_id, kind, starts_at) do update set " + ", ".join(
    f"{name} = usage_buckets.{name} + excluded.{name}" for name in _AMOUNTS
)


def _count(*kinds: str) -> Statement[None]:
    rows = ", ".join(_BUCKET.format(kind) for kind in kinds)
    columns = f"owner_id, kind, starts_at, {', '.join(_AMOUNTS)}"
    return Statement(f"insert into usage_buckets ({columns}) values {rows} {_MERGE}")


_COUNT: Final = _count("step", "day", "account")
_COUNT_SUBSCRIBED: Final = _count("step", "day", "account", "subscription")

_MINE: Final = "from usage_buckets where owner_id = :owner_id and kind"


def _used(window: str, *columns: object) -> tuple[str, Amounts]:
    return window, Amounts(*columns)  # type: ignore[arg-type]  # six integers, by the select


# The three rolling windows lie in one another: each step is read once, and added up in `used`.
_USED: Final = Statement(
    f"""select 'hour', {_SUMS} {_MINE} = 1 and starts_at >= :hour
    union all select 'three_hours', {_SUMS} {_MINE} = 1
        and starts_at >= :three_hours and starts_at < :hour
    union all select 'twelve_hours', {_SUMS} {_MINE} = 1
        and starts_at >= :twelve_hours and starts_at < :three_hours
    union all select 'day', {_SUMS} {_MINE} = 2 and starts_at = :day
    union all select 'week', {_SUMS} {_MINE} = 2 and starts_at >= :week and starts_at <= :today
    union all select 'month', {_SUMS} {_MINE} = 2 and starts_at >= :month and starts_at <= :today
    union all select 'lifetime', {_SUMS} {_MINE} = :lifetime_kind and starts_at = :lifetime""",
    _used,
)


def _step(starts_at: int, *columns: object) -> tuple[int, Amounts]:
    return starts_at, Amounts(*columns)  # type: ignore[arg-type]  # as above


_STEPS: Final = Statement(
    f"""select starts_at, {", ".join(_AMOUNTS)} {_MINE} = 1 and starts_at >= :since
    order by starts_at""",
    _step,
)


def _bucket(kind: int, starts_at: int, *columns: object) -> tuple[tuple[int, int], Amounts]:
    return (kind, starts_at), Amounts(*columns)  # type: ignore[arg-type]  # as above


_BUCKETS: Final = Statement(
    f"""select kind, starts_at, {", ".join(_AMOUNTS)} {_MINE} > 0
        and (kind <> 1 or starts_at >= :since)
    order by kind, starts_at""",
    _bucket,
)
_FORGET: Final[Statement[None]] = Statement("delete from usage_buckets where owner_id = :owner_id")
_FORGET_STEPS: Final[Statement[None]] = Statement(
    """delete from usage_buckets where (owner_id, kind, starts_at) in (
        select owner_id, kind, starts_at from usage_buckets where kind = 1 and starts_at < :before
        limit :limit)"""
)
_LINES: Final = """
    select counted_at,
        case when is_free = 0 then messages else 0 end as messages,
        case when is_free = 0 then charged_tokens else 0 end as tokens,
        case when is_free = 1 then messages else 0 end as free_messages,
        case when is_free = 1 then charged_tokens else 0 end as free_tokens,
        images,
        case when is_free = 0 then coalesce(cost_micro_usd, 0) else 0 end as cost_micro_usd
    from usage_entries where owner_id = :owner_id and counted_at >= :since
    union all
    select counted_at, messages, tokens, free_messages, free_tokens, images, cost_micro_usd
    from reservations where owner_id = :owner_id and counted_at >= :since"""


def _sum_up(start: str) -> Statement[None]:
    return Statement(
        f"""insert into usage_buckets (owner_id, kind, starts_at, {", ".join(_AMOUNTS)})
        select cast(:owner_id as bigint), cast(:kind as bigint), {start}, {_SUMS}
        from ({_LINES}) as lines group by {start}"""
    )


_SUM_UP: Final = {
    BucketKind.STEP: _sum_up(f"counted_at - counted_at % {STEP}"),
    BucketKind.DAY: _sum_up(f"counted_at - counted_at % {DAY_MICROSECONDS}"),
}
_SUM_UP_ALL: Final[Statement[None]] = Statement(
    f"""insert into usage_buckets (owner_id, kind, starts_at, {", ".join(_AMOUNTS)})
    select cast(:owner_id as bigint), cast(:kind as bigint), cast(:starts_at as bigint), {_SUMS}
    from ({_LINES}) as lines"""
)


class UsageStore:
    """`usage_entries`, `reservations`, `usage_buckets`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # What is held

    async def reserve(
        self,
        amounts: Amounts,
        *,
        owner_id: int,
        generation_id: int | None,
        kind: UsageKind,
        subscribed_at: int | None,
        expires_at: int | None,
        at: int,
    ) -> int:
        """Hold a worst case, counted from now on; return its id, 0 for that of a generation."""
        values = _values(amounts) | {
            "owner_id": owner_id,
            "kind": kind.value,
            "counted_at": at,
            "subscribed_at": subscribed_at,
            "expires_at": expires_at,
            "at": at,
        }
        id = 0
        if generation_id is None:
            id = await self._connection.one(_RESERVE_ALONE, **values) or 0
        else:
            await self._connection.run(_RESERVE, generation_id=generation_id, **values)
        await self.count(amounts, owner_id=owner_id, at=at, subscribed_at=subscribed_at)
        return id

    async def release(
        self,
        *,
        generation_id: int | None = None,
        id: int | None = None,
        expired_at: int = _NEVER,
    ) -> Reservation | None:
        """Take a reservation out and return it; what it held is still counted.

        With `expired_at` only one that is not alive at that instant.
        """
        if generation_id is not None:
            return await self._connection.one(_RELEASE, generation_id=generation_id)
        return await self._connection.one(_RELEASE_ALONE, id=id, expired_at=expired_at)

    async def renew(self, id: int, *, expires_at: int) -> bool:
        """Keep a reservation without a generation alive; False if it is gone."""
        return await self._connection.one(_RENEW, id=id, expires_at=expires_at) is not None

    async def held(self, *, owner_id: int) -> list[Reservation]:
        """Return what a user's calls under way hold."""
        return await self._connection.all(_HELD, owner_id=owner_id)

    async def orphans(self, *, at: int) -> list[tuple[int, int]]:
        """Return reservations whose owner is gone, as pairs of their id and the user's."""
        return await self._connection.all(_ORPHANS, at=at)

    async def resubscribe(self, *, owner_id: int, subscribed_at: int) -> None:
        """Let what is under way count for the subscription that began at this instant."""
        await self._connection.run(_RESUBSCRIBE, owner_id=owner_id, subscribed_at=subscribed_at)

    # What was used

    async def append(self, entry: UsageEntry) -> None:
        """Write one line of the ledger; a second answer of one generation breaks a unique index."""
        values = {name: getattr(entry, name) for name in UsageEntry.__struct_fields__}
        await self._connection.run(_APPEND, **values | {"kind": entry.kind.value})

    async def list(self, *, owner_id: int) -> list[UsageEntry]:
        """Return a user's lines of the ledger, oldest first."""
        return await self._connection.all(_LIST, owner_id=owner_id)

    # Buckets

    async def count(
        self, amounts: Amounts, *, owner_id: int, at: int, subscribed_at: int | None
    ) -> None:
        """Add amounts, which may be negative, to every bucket of an instant."""
        values = _values(amounts) | {
            "owner_id": owner_id,
            "step_kind": BucketKind.STEP.value,
            "step_at": at - at % STEP,
            "day_kind": BucketKind.DAY.value,
            "day_at": at - at % DAY_MICROSECONDS,
            "account_kind": BucketKind.ACCOUNT.value,
            "account_at": 0,
        }
        if subscribed_at is None:
            await self._connection.run(_COUNT, **values)
            return
        values["subscription_kind"] = BucketKind.SUBSCRIPTION.value
        values["subscription_at"] = subscribed_at
        await self._connection.run(_COUNT_SUBSCRIBED, **values)

    async def used(
        self, windows: Sequence[Window], *, owner_id: int, at: int, subscribed_at: int | None
    ) -> Mapping[Window, Amounts]:
        """Return what counts in windows just now; those not asked for may come out empty."""
        wanted = frozenset(windows)
        starts = {w: starts_at(w, at) if w in wanted else _NEVER for w in Window}
        # A wider window adds up the narrower ones' steps: they have to be read for it.
        if Window.TWELVE_HOURS in wanted or Window.THREE_HOURS in wanted:
            starts[Window.HOUR] = starts_at(Window.HOUR, at)
        if Window.TWELVE_HOURS in wanted:
            starts[Window.THREE_HOURS] = starts_at(Window.THREE_HOURS, at)
        rows = await self._connection.all(
            _USED,
            owner_id=owner_id,
            hour=starts[Window.HOUR],
            three_hours=starts[Window.THREE_HOURS],
            twelve_hours=starts[Window.TWELVE_HOURS],
            day=starts[Window.DAY],
            week=starts[Window.WEEK],
            month=starts[Window.MONTH],
            today=at - at % DAY_MICROSECONDS,
            lifetime_kind=(
                BucketKind.ACCOUNT if subscribed_at is None else BucketKind.SUBSCRIPTION
            ).value,
            lifetime=(subscribed_at or 0) if Window.LIFETIME in wanted else _NEVER,
        )
        used = {Window(name): amounts for name, amounts in rows}
        used[Window.THREE_HOURS] += used[Window.HOUR]
        used[Window.TWELVE_HOURS] += used[Window.THREE_HOURS]
        return used

    async def steps(self, *, owner_id: int, since: int) -> Sequence[tuple[int, Amounts]]:
        """Return the five-minute buckets from an instant on, oldest first."""
        return await self._connection.all(_STEPS, owner_id=owner_id, since=since)

    async def buckets(self, *, owner_id: int, since: int = 0) -> Mapping[tuple[int, int], Amounts]:
        """Return a user's buckets that are not empty, by kind and start; steps from `since` on."""
        rows = await self._connection.all(_BUCKETS, owner_id=owner_id, since=since)
        return {key: amounts for key, amounts in rows if amounts != NOTHING}

    async def sum_up(self, *, owner_id: int, subscribed_at: int | None, at: int) -> None:
        """Make a user's buckets anew, from the ledger and from what is held."""
        await self._connection.run(_FORGET, owner_id=owner_id)
        recent = starts_at(Window.TWELVE_HOURS, at)
        for kind, since in ((BucketKind.STEP, recent), (BucketKind.DAY, 0)):
            await self._connection.run(
                _SUM_UP[kind], owner_id=owner_id, kind=kind.value, since=since
            )
        lifetimes = [(BucketKind.ACCOUNT, 0)]
        if subscribed_at is not None:
            lifetimes.append((BucketKind.SUBSCRIPTION, subscribed_at))
        for kind, since in lifetimes:
            await self._connection.run(
                _SUM_UP_ALL, owner_id=owner_id, kind=kind.value, starts_at=since, since=since
            )

    async def forget_steps(self, *, before: int, limit: int) -> int:
        """Remove five-minute buckets that no window reaches any more; return how many."""
        return await self._connection.run(_FORGET_STEPS, before=before, limit=limit)


def _values(amounts: Amounts) -> dict[str, Any]:
    return {name: getattr(amounts, name) for name in _AMOUNTS}
