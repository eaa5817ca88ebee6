"""Login states: those who were sent to an identity provider, and have not come back yet."""

from typing import Any

import msgspec

from palaver.domain.identity_providers import Departure
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_COLUMNS = """
    provider_id, callback_uri, target, is_own, client_state, code_challenge, invite_code
"""


def _departure(*columns: Any) -> Departure:
    row = list(columns)
    row[3] = bool(row[3])
    return Departure(*row)


_INSERT: Statement[None] = Statement(
    f"""
    insert into login_states (state_hash, browser_hash, expires_at, {_COLUMNS})
    values (
        :state_hash, :browser_hash, :expires_at, :provider_id, :callback_uri, :target, :is_own,
        :client_state, :code_challenge, :invite_code
    )
    """
)
# Of two that come back with one state, the second finds nothing. A client that has to show its
# verifier afterwards may come back in any browser: it is that client which has to be the same.
_TAKE = Statement(
    f"""
    delete from login_states
    where state_hash = :state_hash and expires_at > :at
        and (browser_hash = :browser_hash or (code_challenge is not null and is_own = 0))
    returning {_COLUMNS}
    """,
    _departure,
)
_PURGE: Statement[None] = Statement("delete from login_states where expires_at <= :at")


class LoginStateStore:
    """Departures by the hash of their state; each is found once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def insert(
        self, state_hash: str, departure: Departure, *, browser_hash: str, expires_at: int
    ) -> None:
        """Store where somebody goes, and in which browser."""
        await self.connection.run(
            _INSERT,
            state_hash=state_hash,
            browser_hash=browser_hash,
            expires_at=expires_at,
            **msgspec.structs.asdict(departure) | {"is_own": int(departure.is_own)},
        )

    async def take(self, state_hash: str, *, browser_hash: str, at: int) -> Departure | None:
        """Remove and return a departure; None where there is none for this browser, or no more."""
        return await self.connection.one(
            _TAKE, state_hash=state_hash, browser_hash=browser_hash, at=at
        )

    async def purge(self, *, at: int) -> None:
        """Forget those who have not come back in time."""
        await self.connection.run(_PURGE, at=at)
