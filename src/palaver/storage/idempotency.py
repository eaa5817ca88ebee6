"""Idempotency keys in the database: who asked what, and what the answer was."""

from typing import Final

import msgspec

from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_PLACE: Final = "owner_id = :owner_id and route = :route and key = :key"
_MINE: Final = f"{_PLACE} and attempt = :attempt and status is null"


class KeyRow(msgspec.Struct, frozen=True, gc=False):
    """What a key stands for; `status` is None until there is an answer."""

    body_hash: str
    generation_uuid: str | None
    status: int | None
    headers: str | None
    body: str | None


def _taken(attempt: int, created_at: int) -> tuple[int, int]:
    return attempt, created_at


# Taken over where the request before has died, or is so old that the key is free again. The same
# request goes on then, under its first instant; another body is another request.
_BEGIN: Final = Statement(
    """insert into idempotency_keys
        (owner_id, route, key, body_hash, attempt, leased_until, created_at)
    values (:owner_id, :route, :key, :body_hash, 1, :leased_until, :at)
    on conflict (owner_id, route, key) do update set
        body_hash = excluded.body_hash, attempt = idempotency_keys.attempt + 1,
        leased_until = excluded.leased_until,
        created_at = case when idempotency_keys.created_at < :expired_at
                or idempotency_keys.body_hash <> excluded.body_hash
            then excluded.created_at else idempotency_keys.created_at end,
        generation_uuid = null, status = null, headers = null, body = null
    where idempotency_keys.created_at < :expired_at
        or (idempotency_keys.status is null and idempotency_keys.generation_uuid is null
            and idempotency_keys.leased_until < :at)
    returning attempt, created_at""",
    _taken,
)
_FIND: Final = Statement(
    f"""select body_hash, generation_uuid, status, headers, body
    from idempotency_keys where {_PLACE}""",
    KeyRow,
)
_FINISH: Final[Statement[None]] = Statement(
    f"""update idempotency_keys set status = :status, headers = :headers, body = :body
    where {_MINE}"""
)
_ATTACH: Final[Statement[None]] = Statement(
    f"update idempotency_keys set generation_uuid = :generation_uuid where {_MINE}"
)
_FREE: Final[Statement[None]] = Statement(f"delete from idempotency_keys where {_MINE}")
# The row stays: what the request may have made all the same is found by the id that it has from it.
_LEAVE: Final[Statement[None]] = Statement(
    f"update idempotency_keys set leased_until = 0 where {_MINE}"
)
_RENEW: Final[Statement[None]] = Statement(
    f"update idempotency_keys set leased_until = :leased_until where {_MINE}"
)
_PURGE: Final[Statement[None]] = Statement(
    """delete from idempotency_keys where (owner_id, route, key) in (
        select owner_id, route, key from idempotency_keys where created_at < :before
        order by created_at limit :limit)"""
)


class KeyPlace(msgspec.Struct, frozen=True, gc=False):
    """Whose key it is, and on which attempt its request is."""

    owner_id: int
    route: str
    key: str
    attempt: int


class IdempotencyStore:
    """`idempotency_keys`: `attempt` fences a request that was given up for dead."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def begin(
        self,
        *,
        owner_id: int,
        route: str,
        key: str,
        body_hash: str,
        at: int,
        leased_until: int,
        expired_at: int,
    ) -> tuple[int, int] | None:
        """Take the key; return the attempt and when the first began, None where it is taken."""
        return await self._connection.one(
            _BEGIN,
            owner_id=owner_id,
            route=route,
            key=key,
            body_hash=body_hash,
            at=at,
            leased_until=leased_until,
            expired_at=expired_at,
        )

    async def find(self, *, owner_id: int, route: str, key: str) -> KeyRow | None:
        """Return what stands under a key."""
        return await self._connection.one(_FIND, owner_id=owner_id, route=route, key=key)

    async def finish(self, place: KeyPlace, *, status: int, headers: str, body: str) -> None:
        """Keep the answer, unless the key has gone to another request."""
        await self._connection.run(
            _FINISH, **msgspec.structs.asdict(place), status=status, headers=headers, body=body
        )

    async def attach(self, place: KeyPlace, *, generation_uuid: str) -> None:
        """Keep the generation that the request began, in the place of an answer."""
        await self._connection.run(
            _ATTACH, **msgspec.structs.asdict(place), generation_uuid=generation_uuid
        )

    async def free(self, place: KeyPlace) -> None:
        """Let the key be used again: there is no answer to keep."""
        await self._connection.run(_FREE, **msgspec.structs.asdict(place))

    async def leave(self, place: KeyPlace) -> None:
        """Let the key be taken over at once: nobody knows what the request has done."""
        await self._connection.run(_LEAVE, **msgspec.structs.asdict(place))

    async def renew(self, places: list[KeyPlace], *, leased_until: int) -> None:
        """Prolong the leases of requests that are under way."""
        rows = [
            {**msgspec.structs.asdict(place), "leased_until": leased_until}
            for place in sorted(places, key=lambda place: (place.owner_id, place.route, place.key))
        ]
        await self._connection.many(_RENEW, rows)

    async def purge(self, *, before: int, limit: int) -> int:
        """Forget keys from before an instant, at most `limit`; return how many."""
        return await self._connection.run(_PURGE, before=before, limit=limit)
