"""The ledger: what is held while a generation runs, and the append-only record of what was used."""

from typing import Any, Final

from palaver.domain.usage import Reservation, UsageEntry, UsageKind
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_RESERVE: Final[Statement[None]] = Statement(
    """insert into reservations
        (generation_id, owner_id, prompt_tokens, completion_tokens, created_at)
    values (:generation_id, :owner_id, :prompt_tokens, :completion_tokens, :created_at)"""
)
_RELEASE: Final[Statement[None]] = Statement(
    "delete from reservations where generation_id = :generation_id"
)
_HELD: Final = Statement(
    """select generation_id, owner_id, prompt_tokens, completion_tokens, created_at
    from reservations where owner_id = :owner_id order by generation_id""",
    Reservation,
)
_APPEND: Final[Statement[None]] = Statement(
    """insert into usage_entries (owner_id, conversation_id, generation_id, kind, model,
        prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, cost_micro_usd,
        messages, is_estimate, created_at)
    values (:owner_id, :conversation_id, :generation_id, :kind, :model,
        :prompt_tokens, :completion_tokens, :reasoning_tokens, :cached_tokens, :cost_micro_usd,
        :messages, :is_estimate, :created_at)"""
)


def _entry(*columns: object) -> UsageEntry:
    row: list[Any] = list(columns)
    row[3] = UsageKind(row[3])
    return UsageEntry(*row)


_LIST: Final = Statement(
    """select owner_id, conversation_id, generation_id, kind, model, prompt_tokens,
        completion_tokens, reasoning_tokens, cached_tokens, cost_micro_usd, messages,
        is_estimate, created_at
    from usage_entries where owner_id = :owner_id order by id""",
    _entry,
)


class UsageStore:
    """`reservations` and `usage_entries`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def reserve(self, reservation: Reservation) -> None:
        """Hold a run's worst case."""
        await self._connection.run(
            _RESERVE, **{name: getattr(reservation, name) for name in Reservation.__struct_fields__}
        )

    async def release(self, generation_id: int) -> None:
        """Give back what a run held."""
        await self._connection.run(_RELEASE, generation_id=generation_id)

    async def held(self, *, owner_id: int) -> list[Reservation]:
        """Return what a user's live runs hold."""
        return await self._connection.all(_HELD, owner_id=owner_id)

    async def append(self, entry: UsageEntry) -> None:
        """Write one line of the ledger; a second answer of one generation breaks a unique index."""
        values = {name: getattr(entry, name) for name in UsageEntry.__struct_fields__}
        await self._connection.run(_APPEND, **values | {"kind": entry.kind.value})

    async def list(self, *, owner_id: int) -> list[UsageEntry]:
        """Return a user's lines of the ledger, oldest first."""
        return await self._connection.all(_LIST, owner_id=owner_id)
