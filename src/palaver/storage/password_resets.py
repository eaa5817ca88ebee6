"""Links that reset a password: one for each user at most, by the hash of its token."""

from typing import Final

from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_PUT: Final[Statement[None]] = Statement(
    """
    insert into password_resets (owner_id, token_hash, created_at, expires_at)
    values (:owner_id, :token_hash, :at, :expires_at)
    on conflict (owner_id) do update set token_hash = excluded.token_hash,
        created_at = excluded.created_at, expires_at = excluded.expires_at
    """
)
_FIND: Final = Statement(
    "select owner_id from password_resets where token_hash = :token_hash and expires_at > :at", int
)
_USE: Final = Statement(
    """
    delete from password_resets where token_hash = :token_hash and expires_at > :at
    returning owner_id
    """,
    int,
)
_REMOVE: Final[Statement[None]] = Statement(
    "delete from password_resets where owner_id = :owner_id"
)
_PURGE: Final[Statement[None]] = Statement("delete from password_resets where expires_at < :before")


class PasswordResetStore:
    """`password_resets`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def put(self, owner_id: int, *, token_hash: str, at: int, expires_at: int) -> None:
        """Store a link; the one that this user had before is of no use any more."""
        await self._connection.run(
            _PUT, owner_id=owner_id, token_hash=token_hash, at=at, expires_at=expires_at
        )

    async def find(self, token_hash: str, *, at: int) -> int | None:
        """Return whose password this link resets, None where it does not (any more)."""
        return await self._connection.one(_FIND, token_hash=token_hash, at=at)

    async def use(self, token_hash: str, *, at: int) -> int | None:
        """Use a link up, and return whose it was; of parallel calls one succeeds."""
        return await self._connection.one(_USE, token_hash=token_hash, at=at)

    async def remove(self, owner_id: int) -> None:
        """Make the link of a user useless, if there is one."""
        await self._connection.run(_REMOVE, owner_id=owner_id)

    async def purge(self, *, before: int) -> int:
        """Forget links that ran out before an instant; return how many."""
        return await self._connection.run(_PURGE, before=before)
