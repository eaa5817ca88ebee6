"""Invites: codes that let somebody register."""

from palaver.domain.errors import NotFound
from palaver.domain.users import Invite
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_COLUMNS = "id, code, created_by, max_uses, uses, used_by, expires_at, revoked_at, created_at"
_IS_GOOD = """
    code = :code and revoked_at is null and uses < max_uses
    and (expires_at is null or expires_at > :at)
"""

_INSERT = Statement(
    f"""
    insert into invites (code, created_by, max_uses, expires_at, created_at)
    values (:code, :created_by, :max_uses, :expires_at, :at) returning {_COLUMNS}
    """,
    Invite,
)
_FIND = Statement(f"select {_COLUMNS} from invites where code = :code", Invite)
_FIND_GOOD = Statement(f"select {_COLUMNS} from invites where {_IS_GOOD}", Invite)
_LIST = Statement(
    f"select {_COLUMNS} from invites where id < :before order by id desc limit :limit", Invite
)
# The row's lock lets one registration at a time decide, and each sees the uses before it.
_REDEEM = Statement(
    f"update invites set uses = uses + 1, used_by = :user_id where {_IS_GOOD} returning {_COLUMNS}",
    Invite,
)
_REVOKE = Statement(
    f"""
    update invites set revoked_at = :at where code = :code and revoked_at is null
    returning {_COLUMNS}
    """,
    Invite,
)


class InviteStore:
    """Invites by code."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def create(
        self, *, code: str, created_by: int | None, max_uses: int, expires_at: int | None, at: int
    ) -> Invite:
        """Store an invite."""
        invite = await self.connection.one(
            _INSERT,
            code=code,
            created_by=created_by,
            max_uses=max_uses,
            expires_at=expires_at,
            at=at,
        )
        assert invite is not None  # noqa: S101  # an insert returns its row
        return invite

    async def get(self, code: str) -> Invite:
        """Return an invite. Raises `NotFound`."""
        invite = await self.connection.one(_FIND, code=code)
        if invite is None:
            raise NotFound("invite")
        return invite

    async def is_good(self, code: str, *, at: int) -> bool:
        """Tell whether somebody could register with this code now."""
        return await self.connection.one(_FIND_GOOD, code=code, at=at) is not None

    async def list(self, *, before: int, limit: int) -> list[Invite]:
        """Return invites with ids below `before`, newest first."""
        return await self.connection.all(_LIST, before=before, limit=limit)

    async def redeem(self, code: str, *, user_id: int, at: int) -> Invite | None:
        """Use an invite once; None when it cannot be used (any more)."""
        return await self.connection.one(_REDEEM, code=code, user_id=user_id, at=at)

    async def revoke(self, code: str, *, at: int) -> Invite | None:
        """Revoke an invite; None when there is none to revoke."""
        return await self.connection.one(_REVOKE, code=code, at=at)
