"""Login failures: one row per key, which holds the counts of the last minute."""

import msgspec

from palaver.domain.throttling import Slots
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_decode = msgspec.json.Decoder(Slots).decode


def _slots(slots: str) -> Slots:
    return _decode(slots)


_FIND = Statement("select slots from login_failures where key = :key", _slots)
# Makes the row, locks it and reads it in one, so that parallel attempts count one after the other.
_LOCK = Statement(
    """
    insert into login_failures (key, slots, counted_at) values (:key, '[]', :at)
    on conflict (key) do update set counted_at = excluded.counted_at
    returning slots
    """,
    _slots,
)
_SAVE: Statement[None] = Statement("update login_failures set slots = :slots where key = :key")
_PURGE: Statement[None] = Statement("delete from login_failures where counted_at < :before")


class FailureStore:
    """How often sign-in has failed, per key."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def find(self, key: str) -> Slots:
        """Return the counts of a key."""
        return await self.connection.one(_FIND, key=key) or ()

    async def lock(self, key: str, *, at: int) -> Slots:
        """Return the counts of a key, and hold its row until the end."""
        return await self.connection.one(_LOCK, key=key, at=at) or ()

    async def save(self, key: str, slots: Slots) -> None:
        """Replace the counts of a locked key."""
        await self.connection.run(_SAVE, key=key, slots=msgspec.json.encode(slots).decode())

    async def purge(self, *, before: int) -> int:
        """Forget the keys that nobody has counted under since then; return how many."""
        return await self.connection.run(_PURGE, before=before)
