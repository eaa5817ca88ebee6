"""External identities: which account somebody has whom an identity provider knows."""

from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_FIND = Statement(
    "select owner_id from external_identities where issuer = :issuer and subject = :subject", int
)
_INSERT = Statement(
    """
    insert into external_identities (
        issuer, subject, owner_id, provider_id, created_at, last_used_at
    ) values (:issuer, :subject, :owner_id, :provider_id, :at, :at)
    on conflict do nothing returning owner_id
    """,
    int,
)
_TOUCH: Statement[None] = Statement(
    """
    update external_identities set last_used_at = :at, provider_id = :provider_id
    where issuer = :issuer and subject = :subject
    """
)
_FORGET: Statement[None] = Statement("delete from external_identities where owner_id = :owner_id")


class ExternalIdentityStore:
    """Accounts by issuer and subject."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def find(self, issuer: str, subject: str) -> int | None:
        """Return whose identity this is, None where it is nobody's."""
        return await self.connection.one(_FIND, issuer=issuer, subject=subject)

    async def insert(
        self, issuer: str, subject: str, *, owner_id: int, provider_id: str, at: int
    ) -> bool:
        """Give somebody an identity; False when it is somebody's already."""
        values = {"owner_id": owner_id, "provider_id": provider_id, "at": at}
        row = await self.connection.one(_INSERT, issuer=issuer, subject=subject, **values)
        return row is not None

    async def touch(self, issuer: str, subject: str, *, provider_id: str, at: int) -> None:
        """Note a sign-in."""
        await self.connection.run(
            _TOUCH, issuer=issuer, subject=subject, provider_id=provider_id, at=at
        )

    async def forget(self, owner_id: int) -> None:
        """Let no identity lead to this account any more."""
        await self.connection.run(_FORGET, owner_id=owner_id)
