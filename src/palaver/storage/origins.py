"""Known origins: the devices and addresses from which a user has signed in."""

from typing import Final

from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

DEVICE: Final = "device"
ADDRESS: Final = "address"

_KNOWN = Statement(
    """
    select kind from known_origins
    where owner_id = :owner_id and last_seen_at >= :since
    and (kind = 'device' and value = :device_hash or kind = 'address' and value = :network)
    """,
    str,
)
_REMEMBER: Statement[None] = Statement(
    """
    insert into known_origins (owner_id, kind, value, last_seen_at)
    values (:owner_id, :kind, :value, :at)
    on conflict (owner_id, kind, value) do update set last_seen_at = excluded.last_seen_at
    """
)
_FORGET: Statement[None] = Statement("delete from known_origins where owner_id = :owner_id")
_PURGE: Statement[None] = Statement("delete from known_origins where last_seen_at < :before")


class OriginStore:
    """Where users sign in from; of a device's cookie it holds the hash."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def known(
        self, owner_id: int, *, device_hash: str, network: str, since: int
    ) -> frozenset[str]:
        """Return which of `DEVICE` and `ADDRESS` this user has signed in from since then."""
        kinds = await self.connection.all(
            _KNOWN, owner_id=owner_id, device_hash=device_hash, network=network, since=since
        )
        return frozenset(kinds)

    async def remember(self, owner_id: int, *, kind: str, value: str, at: int) -> None:
        """Note a sign-in from a device (by its hash) or an address."""
        await self.connection.run(_REMEMBER, owner_id=owner_id, kind=kind, value=value, at=at)

    async def forget(self, owner_id: int) -> None:
        """Forget where a user has signed in from."""
        await self.connection.run(_FORGET, owner_id=owner_id)

    async def purge(self, *, before: int) -> int:
        """Forget the origins that nobody has signed in from since then; return how many."""
        return await self.connection.run(_PURGE, before=before)
