"""Second factors in the database: sealed secrets, the last code used, recovery codes by hash."""

from collections.abc import Iterable
from typing import Final

import msgspec

from palaver.storage.connection import Connection
from palaver.storage.statements import Statement


class SecondFactor(msgspec.Struct, frozen=True, gc=False):
    """A user's authenticator app: its sealed secret, and the step of the last code used."""

    owner_id: int
    secret: str
    last_step: int
    failures: int  # wrong codes since the last right one
    blocked_until: int
    created_at: int
    confirmed_at: int | None


_COLUMNS: Final = "owner_id, secret, last_step, failures, blocked_until, created_at, confirmed_at"
_FIND: Final = Statement(
    f"select {_COLUMNS} from second_factors where owner_id = :owner_id", SecondFactor
)
# One that counts already is not replaced: it has to be taken off first.
_BEGIN: Final[Statement[None]] = Statement(
    """
    insert into second_factors (owner_id, secret, last_step, created_at)
    values (:owner_id, :secret, 0, :at)
    on conflict (owner_id) do update
    set secret = excluded.secret, last_step = 0, created_at = excluded.created_at
    where second_factors.confirmed_at is null
    """
)
_CONFIRM: Final[Statement[None]] = Statement(
    """
    update second_factors set confirmed_at = :at, last_step = :step
    where owner_id = :owner_id and confirmed_at is null
    """
)
_USE_STEP: Final[Statement[None]] = Statement(
    "update second_factors set last_step = :step where owner_id = :owner_id and last_step < :step"
)
_SET_FAILURES: Final[Statement[None]] = Statement(
    """
    update second_factors set failures = :failures, blocked_until = :blocked_until
    where owner_id = :owner_id
    """
)
_SET_AT: Final[Statement[None]] = Statement(
    "update users set second_factor_at = :at where id = :owner_id"
)
_REMOVE: Final[Statement[None]] = Statement("delete from second_factors where owner_id = :owner_id")
_ADD_CODE: Final[Statement[None]] = Statement(
    "insert into recovery_codes (owner_id, code_hash) values (:owner_id, :code_hash)"
)
_HAS_CODE: Final = Statement(
    "select 1 from recovery_codes where owner_id = :owner_id and code_hash = :code_hash", int
)
_COUNT_CODES: Final = Statement(
    "select count(*) from recovery_codes where owner_id = :owner_id", int
)
_USE_CODE: Final[Statement[None]] = Statement(
    "delete from recovery_codes where owner_id = :owner_id and code_hash = :code_hash"
)
_REMOVE_CODES: Final[Statement[None]] = Statement(
    "delete from recovery_codes where owner_id = :owner_id"
)


class SecondFactorStore:
    """`second_factors` and `recovery_codes`; whoever changes them holds the user's row."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, owner_id: int) -> SecondFactor | None:
        """Return a user's second factor, confirmed or not."""
        return await self._connection.one(_FIND, owner_id=owner_id)

    async def begin(self, owner_id: int, *, secret: str, at: int) -> bool:
        """Store one that does not count yet; False where there is one that does."""
        return await self._connection.run(_BEGIN, owner_id=owner_id, secret=secret, at=at) > 0

    async def confirm(self, owner_id: int, *, step: int, at: int) -> bool:
        """Let it count from now on; the code that proved it is used. False where it did already."""
        if not await self._connection.run(_CONFIRM, owner_id=owner_id, step=step, at=at):
            return False
        await self._connection.run(_SET_AT, owner_id=owner_id, at=at)
        return True

    async def remove(self, owner_id: int) -> None:
        """Forget a user's second factor, and its recovery codes."""
        await self._connection.run(_REMOVE, owner_id=owner_id)
        await self._connection.run(_REMOVE_CODES, owner_id=owner_id)
        await self._connection.run(_SET_AT, owner_id=owner_id, at=None)

    async def use_step(self, owner_id: int, step: int) -> bool:
        """Use the code of a step up; of parallel calls one succeeds."""
        return await self._connection.run(_USE_STEP, owner_id=owner_id, step=step) > 0

    async def set_failures(self, owner_id: int, failures: int, *, blocked_until: int) -> None:
        """Note how many codes were wrong in a row, and until when no other is looked at."""
        await self._connection.run(
            _SET_FAILURES, owner_id=owner_id, failures=failures, blocked_until=blocked_until
        )

    async def replace_codes(self, owner_id: int, hashes: Iterable[str]) -> None:
        """Store recovery codes in place of all that there were."""
        await self._connection.run(_REMOVE_CODES, owner_id=owner_id)
        rows = [{"owner_id": owner_id, "code_hash": each} for each in hashes]
        await self._connection.many(_ADD_CODE, rows)

    async def has_code(self, owner_id: int, code_hash: str) -> bool:
        """Tell whether this is a recovery code that was not used yet."""
        found = await self._connection.one(_HAS_CODE, owner_id=owner_id, code_hash=code_hash)
        return found is not None

    async def count_codes(self, owner_id: int) -> int:
        """Return how many recovery codes are left."""
        return await self._connection.one(_COUNT_CODES, owner_id=owner_id) or 0

    async def use_code(self, owner_id: int, code_hash: str) -> bool:
        """Use a recovery code up; of parallel calls one succeeds."""
        return await self._connection.run(_USE_CODE, owner_id=owner_id, code_hash=code_hash) > 0
