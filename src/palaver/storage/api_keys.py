"""API keys in the database: of each its SHA-256, never the key."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from palaver.domain.api_keys import ApiKey, Scope, read_scopes, write_scopes
from palaver.domain.errors import NotFound
from palaver.domain.users import Role
from palaver.kit.ids import new_uuid
from palaver.storage.connection import Connection
from palaver.storage.sessions import SECOND_FACTOR
from palaver.storage.statements import Statement

_COLUMNS: Final = """
    id, uuid, owner_id, name, prefix, scopes, created_at, expires_at, last_used_at, revoked_at
"""
_ROLES: Final = {role.value: role for role in Role}


class KeyPresence(msgspec.Struct, frozen=True, gc=False):
    """A key and its user, as far as every request needs them."""

    key_id: int
    user_id: int
    user_uuid: str
    role: Role
    disabled_at: int | None
    second_factor_at: int | None  # as in `Presence`
    scopes: frozenset[Scope]
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None


def _key(*columns: Any) -> ApiKey:
    row = list(columns)
    row[5] = read_scopes(row[5])
    return ApiKey(*row)


def _presence(*columns: Any) -> KeyPresence:
    row = list(columns)
    row[3] = _ROLES[row[3]]
    row[6] = read_scopes(row[6])
    return KeyPresence(*row)


_FIND: Final = Statement(
    f"""
    select k.id, u.id, u.uuid, u.role, u.disabled_at, {SECOND_FACTOR},
        k.scopes, k.expires_at, k.last_used_at, k.revoked_at
    from api_keys k join users u on u.id = k.owner_id where k.key_hash = :key_hash
    """,
    _presence,
)
_INSERT: Final = Statement(
    f"""
    insert into api_keys (uuid, owner_id, name, prefix, key_hash, scopes, created_at, expires_at)
    values (:uuid, :owner_id, :name, :prefix, :key_hash, :scopes, :at, :expires_at)
    returning {_COLUMNS}
    """,
    _key,
)
_LIST: Final = Statement(
    f"""
    select {_COLUMNS} from api_keys
    where owner_id = :owner_id and revoked_at is null and id < :before
    order by id desc limit :limit
    """,
    _key,
)
_COUNT: Final = Statement(
    "select count(*) from api_keys where owner_id = :owner_id and revoked_at is null", int
)
# Parallel requests with one key: the first one writes, the others find nothing to do.
_TOUCH: Final[Statement[None]] = Statement(
    """
    update api_keys set last_used_at = :at
    where id = :id and (last_used_at is null or last_used_at < :before)
    """
)
_REVOKE: Final = Statement(
    f"""
    update api_keys set revoked_at = :at
    where uuid = :uuid and owner_id = :owner_id and revoked_at is null returning {_COLUMNS}
    """,
    _key,
)
_REVOKE_ALL: Final[Statement[None]] = Statement(
    "update api_keys set revoked_at = :at where owner_id = :owner_id and revoked_at is null"
)
_REVOKED: Final[Statement[int]] = Statement(
    """
    select k.id from api_keys k join users u on u.id = k.owner_id
    where k.id {in_numbers ids} and (k.revoked_at is not null or u.disabled_at is not null)
    """,
    int,
)
_PURGE: Final[Statement[None]] = Statement("delete from api_keys where revoked_at < :before")


class ApiKeyStore:
    """`api_keys`; a revoked key is kept for a while, so that its open streams are found."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, key_hash: str) -> KeyPresence | None:
        """Return whose key has this hash, live or not."""
        return await self._connection.one(_FIND, key_hash=key_hash)

    async def insert(
        self,
        owner_id: int,
        *,
        name: str,
        prefix: str,
        key_hash: str,
        scopes: frozenset[Scope],
        at: int,
        expires_at: int | None,
    ) -> ApiKey:
        """Store a key."""
        made = await self._connection.one(
            _INSERT,
            uuid=new_uuid(),
            owner_id=owner_id,
            name=name,
            prefix=prefix,
            key_hash=key_hash,
            scopes=write_scopes(scopes),
            at=at,
            expires_at=expires_at,
        )
        assert made is not None  # noqa: S101  # an insert returns its row
        return made

    async def list(self, owner_id: int, *, before: int, limit: int) -> list[ApiKey]:
        """Return a user's keys with ids below `before`, newest first; no revoked ones."""
        return await self._connection.all(_LIST, owner_id=owner_id, before=before, limit=limit)

    async def count(self, owner_id: int) -> int:
        """Return how many keys a user has that were not revoked."""
        return await self._connection.one(_COUNT, owner_id=owner_id) or 0

    async def touch(self, id: int, *, at: int, before: int) -> None:
        """Note a use, unless one after `before` is noted already."""
        await self._connection.run(_TOUCH, id=id, at=at, before=before)

    async def revoke(self, uuid: str, *, owner_id: int, at: int) -> ApiKey:
        """Make a key of a user useless for good. Raises `NotFound`."""
        revoked = await self._connection.one(_REVOKE, uuid=uuid, owner_id=owner_id, at=at)
        if revoked is None:
            raise NotFound("API key")
        return revoked

    async def revoke_all(self, owner_id: int, *, at: int) -> None:
        """Make all keys of a user useless for good."""
        await self._connection.run(_REVOKE_ALL, owner_id=owner_id, at=at)

    async def revoked(self, ids: Sequence[int]) -> Sequence[int]:
        """Return which of these keys were revoked, or are of somebody who is disabled."""
        return await self._connection.all(_REVOKED, ids=msgspec.json.encode(ids).decode())

    async def purge(self, *, before: int) -> int:
        """Forget the keys that were revoked before an instant; return how many."""
        return await self._connection.run(_PURGE, before=before)
