"""Sessions: one row per sign-in, which is all that makes a cookie or a token count."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from palaver.domain.errors import NotFound
from palaver.domain.users import Client, Role, Session
from palaver.kit.ids import new_uuid
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_COLUMNS = """
    id, uuid, owner_id, token_hash, ip, user_agent, created_at, last_used_at, expires_at, ended_at
"""


class Presence(msgspec.Struct, frozen=True, gc=False):
    """A sign-in and its user, as far as every request needs them."""

    session_id: int
    session_uuid: str
    user_id: int
    user_uuid: str
    role: Role
    disabled_at: int | None
    last_used_at: int
    expires_at: int
    ended_at: int | None
    second_factor_at: int | None  # 0 for an account without a password


# An account without a password signs in elsewhere, where a code is asked for, or is not.
SECOND_FACTOR: Final = "coalesce(u.second_factor_at, case when u.password_hash = '' then 0 end)"
"""When the second factor of the user `u` began, for the statements of other stores too."""

_ROLES = {role.value: role for role in Role}


def _presence(
    session_id: int, session_uuid: str, user_id: int, user_uuid: str, role: str, *rest: Any
) -> Presence:
    return Presence(session_id, session_uuid, user_id, user_uuid, _ROLES[role], *rest)


_PRESENCE = f"""
    select s.id, s.uuid, u.id, u.uuid, u.role, u.disabled_at,
        s.last_used_at, s.expires_at, s.ended_at, {SECOND_FACTOR}
    from sessions s join users u on u.id = s.owner_id
"""
_FIND_BY_COOKIE = Statement(f"{_PRESENCE} where s.token_hash = :token_hash", _presence)
_FIND_BY_UUID = Statement(f"{_PRESENCE} where s.uuid = :uuid", _presence)
_INSERT = Statement(
    f"""
    insert into sessions (
        uuid, owner_id, token_hash, ip, user_agent, created_at, last_used_at, expires_at
    ) values (:uuid, :owner_id, :token_hash, :ip, :user_agent, :at, :at, :expires_at)
    returning {_COLUMNS}
    """,
    Session,
)
# Parallel requests of one session: the first one writes, the others find nothing to do.
_TOUCH: Statement[None] = Statement(
    """
    update sessions set last_used_at = :at, expires_at = :expires_at
    where id = :id and last_used_at = :last_used_at and ended_at is null
    """
)
_LIST = Statement(
    f"""
    select {_COLUMNS} from sessions
    where owner_id = :owner_id and ended_at is null and expires_at > :at
    order by last_used_at desc, id desc limit :limit
    """,
    Session,
)
_REVOKED_SQL = """select s.id from sessions s join users u on u.id = s.owner_id
    where s.id in {ids} and (s.ended_at is not null or u.disabled_at is not null)"""
_REVOKED: Statement[int] = Statement(
    sqlite=_REVOKED_SQL.replace("{ids}", "(select value from json_each(:ids))"),
    postgresql=_REVOKED_SQL.replace(
        "{ids}", "(select value::bigint from jsonb_array_elements_text(cast(:ids as jsonb)))"
    ),
    row=int,
)
_END: Statement[None] = Statement(
    "update sessions set ended_at = :at where id = :id and ended_at is null"
)
_END_OWN = Statement(
    """
    update sessions set ended_at = :at
    where uuid = :uuid and owner_id = :owner_id and ended_at is null returning id
    """,
    int,
)
_END_OTHERS: Statement[None] = Statement(
    """
    update sessions set ended_at = :at
    where owner_id = :owner_id and id <> :except_id and ended_at is null
    """
)
_FORGET: Statement[None] = Statement("delete from sessions where owner_id = :owner_id")
_PURGE: Statement[None] = Statement(
    "delete from sessions where expires_at < :before or ended_at < :before"
)


class SessionStore:
    """Sign-ins, live and ended."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def find_by_cookie(self, token_hash: str) -> Presence | None:
        """Return who holds the cookie with this hash, live or not."""
        return await self.connection.one(_FIND_BY_COOKIE, token_hash=token_hash)

    async def find_by_uuid(self, uuid: str) -> Presence | None:
        """Return whose sign-in this is, live or not."""
        return await self.connection.one(_FIND_BY_UUID, uuid=uuid)

    async def create(
        self, owner_id: int, *, token_hash: str | None, client: Client, at: int, expires_at: int
    ) -> Session:
        """Store a sign-in; without a hash it is a family of tokens."""
        session = await self.connection.one(
            _INSERT,
            uuid=new_uuid(),
            owner_id=owner_id,
            token_hash=token_hash,
            ip=client.address or None,
            user_agent=client.user_agent or None,
            at=at,
            expires_at=expires_at,
        )
        assert session is not None  # noqa: S101  # an insert returns its row
        return session

    async def touch(self, id: int, *, last_used_at: int, at: int, expires_at: int) -> None:
        """Note a use, unless somebody has done so since `last_used_at`."""
        await self.connection.run(
            _TOUCH, id=id, last_used_at=last_used_at, at=at, expires_at=expires_at
        )

    async def list(self, owner_id: int, *, at: int, limit: int) -> list[Session]:
        """Return the live sign-ins of a user, the latest used first."""
        return await self.connection.all(_LIST, owner_id=owner_id, at=at, limit=limit)

    async def revoked(self, ids: Sequence[int]) -> Sequence[int]:
        """Return which of these sign-ins were ended, or are of somebody who is disabled."""
        return await self.connection.all(_REVOKED, ids=msgspec.json.encode(ids).decode())

    async def end(self, id: int, *, at: int) -> bool:
        """End a sign-in; tell whether it had not ended before."""
        return await self.connection.run(_END, id=id, at=at) > 0

    async def end_own(self, uuid: str, *, owner_id: int, at: int) -> int:
        """End one of a user's own sign-ins, and return its id. Raises `NotFound`."""
        id = await self.connection.one(_END_OWN, uuid=uuid, owner_id=owner_id, at=at)
        if id is None:
            raise NotFound("session")
        return id

    async def end_others(self, owner_id: int, *, at: int, except_id: int | None = None) -> int:
        """End all sign-ins of a user but one; return how many."""
        # No session has the id 0.
        return await self.connection.run(
            _END_OTHERS, owner_id=owner_id, except_id=except_id or 0, at=at
        )

    async def forget(self, owner_id: int) -> None:
        """Forget all sign-ins of a user."""
        await self.connection.run(_FORGET, owner_id=owner_id)

    async def purge(self, *, before: int) -> int:
        """Forget the sign-ins that ended before an instant; return how many."""
        return await self.connection.run(_PURGE, before=before)
