"""Exchange codes: what somebody who came back can change for tokens, once and soon."""

import msgspec

from palaver.storage.connection import Connection
from palaver.storage.statements import Statement


class ExchangeCode(msgspec.Struct, frozen=True, gc=False):
    """Whose code it is, by which provider, and what the client has to show beside it."""

    owner_id: int
    provider_id: str
    code_challenge: str | None


_INSERT: Statement[None] = Statement(
    """
    insert into exchange_codes (code_hash, owner_id, provider_id, code_challenge, expires_at)
    values (:code_hash, :owner_id, :provider_id, :code_challenge, :expires_at)
    """
)
_TAKE = Statement(
    """
    delete from exchange_codes where code_hash = :code_hash and expires_at > :at
    returning owner_id, provider_id, code_challenge
    """,
    ExchangeCode,
)
_PURGE: Statement[None] = Statement("delete from exchange_codes where expires_at <= :at")


class ExchangeCodeStore:
    """Codes by their hash; each is found once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def insert(
        self,
        code_hash: str,
        *,
        owner_id: int,
        provider_id: str,
        code_challenge: str | None,
        expires_at: int,
    ) -> None:
        """Store a code."""
        await self.connection.run(
            _INSERT,
            code_hash=code_hash,
            owner_id=owner_id,
            provider_id=provider_id,
            code_challenge=code_challenge,
            expires_at=expires_at,
        )

    async def take(self, code_hash: str, *, at: int) -> ExchangeCode | None:
        """Remove and return a code; None where there is none, or no more."""
        return await self.connection.one(_TAKE, code_hash=code_hash, at=at)

    async def purge(self, *, at: int) -> None:
        """Forget the codes that nobody has used in time."""
        await self.connection.run(_PURGE, at=at)
