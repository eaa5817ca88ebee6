"""Idempotency keys: the same request, sent again, gets the first answer and does nothing."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.users import Actor
from palaver.kit.clock import DAY, MINUTE, SECOND, Clock, system_clock
from palaver.storage.database import Database, retrying
from palaver.storage.idempotency import KeyPlace, KeyRow

KEPT: Final = DAY
LEASE: Final = 60 * SECOND
"""A request that was under way in a process that died blocks its key no longer than this."""
LONGEST: Final = 30 * MINUTE
"""No request takes longer: one that still seems to be under way was dropped without a word."""
PURGE_MAX: Final = 1_000
RETRY_AFTER_SECONDS: Final = 1

Headers: TypeAlias = Sequence[tuple[str, str]]
_headers: Final = msgspec.json.Decoder(list[tuple[str, str]]).decode


class Fresh(msgspec.Struct, frozen=True):
    """The key is this request's: it ends with one of `finish`, `attach`, `free`, `leave`."""

    place: KeyPlace
    repeat_key: str  # for `Actor.repeat_key`: the same in all attempts of one request


class Stored(msgspec.Struct, frozen=True):
    """The first request has been answered, with this."""

    status: int
    headers: list[tuple[str, str]]
    body: str


class Attached(msgspec.Struct, frozen=True):
    """The first request began a generation, and its answer is a stream of that."""

    generation_uuid: str


Begun: TypeAlias = Fresh | Stored | Attached


class IdempotencyService:
    """Keys are of one user and one route, and are kept for a day from the first request on."""

    def __init__(self, db: Database, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.clock = clock
        self._under_way: dict[KeyPlace, int] = {}  # with the instant at which it began

    @retrying
    async def begin(self, actor: Actor, *, route: str, key: str, body_hash: str) -> Begun:
        """Take a key for a request, or tell what became of the first request with it.

        Raises `DomainError`: `CONFLICT` while the first is under way, `IDEMPOTENCY_MISMATCH` when
        it had another body.
        """
        owner_id = actor.owner_id
        at = self.clock()
        async with self.db.transaction() as tx:
            taken = await tx.idempotency.begin(
                owner_id=owner_id,
                route=route,
                key=key,
                body_hash=body_hash,
                at=at,
                leased_until=at + LEASE,
                expired_at=at - KEPT,
            )
            row = None
            if taken is None:
                row = await tx.idempotency.find(owner_id=owner_id, route=route, key=key)
        if taken is None:
            return _answered(row, body_hash)
        attempt, began_at = taken
        place = KeyPlace(owner_id, route, key, attempt)
        self._under_way[place] = at
        return Fresh(place, repeat_key=f"{owner_id}/{began_at}/{route}/{key}")

    async def finish(
        self, actor: Actor, fresh: Fresh, *, status: int, headers: Headers, body: str
    ) -> None:
        """Keep the answer for whoever repeats the request; after one of 5xx it may be tried again.

        The repeat goes on with what the first has stored all the same.
        """
        if status >= 500:
            await self.leave(actor, fresh)
            return
        self._under_way.pop(fresh.place, None)
        listed = msgspec.json.encode(list(headers)).decode()
        async with self.db.transaction() as tx:
            await tx.idempotency.finish(fresh.place, status=status, headers=listed, body=body)

    async def attach(self, actor: Actor, fresh: Fresh, *, generation_uuid: str) -> None:  # noqa: ARG002  # every use case names its caller
        """Keep the generation that the request began: a repeat follows it."""
        self._under_way.pop(fresh.place, None)
        async with self.db.transaction() as tx:
            await tx.idempotency.attach(fresh.place, generation_uuid=generation_uuid)

    async def free(self, actor: Actor, fresh: Fresh) -> None:  # noqa: ARG002  # see above
        """Let the key be used again: nothing came of the request."""
        self._under_way.pop(fresh.place, None)
        async with self.db.transaction() as tx:
            await tx.idempotency.free(fresh.place)

    async def leave(self, actor: Actor, fresh: Fresh) -> None:  # noqa: ARG002  # see above
        """Let the request be tried again, for it broke, and may have done something or not."""
        self._under_way.pop(fresh.place, None)
        async with self.db.transaction() as tx:
            await tx.idempotency.leave(fresh.place)

    async def renew(self, actor: Actor) -> None:
        """Keep the keys of this process's requests theirs. Called more often than `LEASE`."""
        actor.require_admin()
        at = self.clock()
        self._under_way = {
            place: began for place, began in self._under_way.items() if at - began < LONGEST
        }
        if self._under_way:
            async with self.db.transaction() as tx:
                await tx.idempotency.renew(list(self._under_way), leased_until=at + LEASE)

    async def purge(self, actor: Actor) -> int:
        """Forget a bounded number of keys that are older than a day; return how many."""
        actor.require_admin()
        async with self.db.transaction() as tx:
            return await tx.idempotency.purge(before=self.clock() - KEPT, limit=PURGE_MAX)


def _answered(row: KeyRow | None, body_hash: str) -> Stored | Attached:
    """Return what the first request came to. Raises `DomainError`."""
    if row is not None and row.body_hash != body_hash:
        raise DomainError(
            "This idempotency key was used with another request.",
            kind=ErrorKind.IDEMPOTENCY_MISMATCH,
        )
    if row is not None and row.generation_uuid is not None:
        return Attached(row.generation_uuid)
    if row is None or row.status is None:
        raise DomainError(
            "The first request with this idempotency key is still under way.",
            kind=ErrorKind.CONFLICT,
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    return Stored(row.status, _headers(row.headers or "[]"), row.body or "")
