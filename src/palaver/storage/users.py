"""Users: the accounts of the one user store behind all contracts."""

from typing import Any

from palaver.domain.accounts import Registration, email_key, phone_key, username_key
from palaver.domain.errors import NotFound
from palaver.domain.users import Role, User
from palaver.kit.ids import new_uuid
from palaver.storage.connection import Connection
from palaver.storage.statements import Engine, Statement

_COLUMNS = """
    id, uuid, username, email, phone_number, name, password_hash, role, disabled_at, verified_at,
    created_at, last_login_at, second_factor_at
"""


def _user(*columns: Any) -> User:
    row = list(columns)
    row[7] = Role(row[7])
    return User(*row)


def _id(id: int) -> int:
    return id


_FIND = Statement(f"select {_COLUMNS} from users where id = :id and deleted_at is null", _user)
_FIND_BY_UUID = Statement(
    f"select {_COLUMNS} from users where uuid = :uuid and deleted_at is null", _user
)
_LOCK_USAGE = Statement("select id from users where id = :id {for_update}", int)
_LOCK = Statement(
    f"select {_COLUMNS} from users where id = :id and deleted_at is null {{for_update}}", _user
)
_FIND_BY_NAME = Statement(f"select {_COLUMNS} from users where username_key = :key", _user)
_FIND_BY_EMAIL = Statement(f"select {_COLUMNS} from users where email_key = :key", _user)
_LIST = Statement(
    f"""select {_COLUMNS} from users where id < :before and deleted_at is null
    order by id desc limit :limit""",
    _user,
)
_INSERT = Statement(
    f"""
    insert into users (
        uuid, username, username_key, email, email_key, phone_number, phone_key, name,
        password_hash, role, created_at
    ) values (
        :uuid, :username, :username_key, :email, :email_key, :phone_number, :phone_key, :name,
        :password_hash, :role, :created_at
    ) on conflict do nothing returning {_COLUMNS}
    """,
    _user,
)
_TAKEN = Statement(
    """
    select 1, 'username' from users where username_key = :username_key
    union all select 2, 'email' from users where email_key = :email_key
    union all select 3, 'phone_number' from users where phone_key = :phone_key
    order by 1
    """,
    lambda _, field: str(field),
)
_LOCK_ADMINISTRATORS = Statement(
    "select id from users where role = 'admin' and disabled_at is null order by id {for_update}",
    _id,
)
_HAS_ADMINISTRATOR = Statement("select id from users where role = 'admin' limit 1", _id)
_SET_ROLE = Statement(
    f"update users set role = :role where id = :id returning {_COLUMNS}",
    _user,
)
_SET_DISABLED_AT = Statement(
    f"update users set disabled_at = :disabled_at where id = :id returning {_COLUMNS}", _user
)
_SET_VERIFIED_AT = Statement(
    f"update users set verified_at = :at where id = :id returning {_COLUMNS}", _user
)
_SET_PASSWORD_HASH: Statement[None] = Statement(
    "update users set password_hash = :password_hash where id = :id"
)
# What names somebody goes at once, and frees the names; the row holds the ledger together.
_DELETE: Statement[None] = Statement(
    """
    update users set username = 'deleted', username_key = '/' || uuid, email = null,
        email_key = null, phone_number = null, phone_key = null, name = null,
        password_hash = '', role = 'user', second_factor_at = null,
        disabled_at = coalesce(disabled_at, :at), deleted_at = :at
    where id = :id and deleted_at is null
    """
)
_ERASE: Statement[None] = Statement(
    """
    delete from users where id = :id and deleted_at is not null
    and not exists (select 1 from conversations where owner_id = :id)
    and not exists (select 1 from documents where owner_id = :id)
    """
)
_IS_DELETED = Statement("select id from users where id = :id and deleted_at is not null", _id)
_SET_LAST_LOGIN_AT = Statement(
    f"update users set last_login_at = :at where id = :id returning {_COLUMNS}", _user
)


class UserStore:
    """Accounts by id, by name, by e-mail address."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def get(self, id: int) -> User:
        """Return an account. Raises `NotFound`."""
        return await self._get(_FIND, id=id)

    async def get_by_uuid(self, uuid: str) -> User:
        """Return an account. Raises `NotFound`."""
        return await self._get(_FIND_BY_UUID, uuid=uuid)

    async def lock_usage(self, id: int) -> None:
        """Let nobody else count what this user uses, until the transaction ends."""
        if self.connection.engine is Engine.POSTGRESQL:  # SQLite's writer is alone anyway
            await self.connection.one(_LOCK_USAGE, id=id)

    async def lock(self, id: int) -> User:
        """Return an account, and hold its row until the end. Raises `NotFound`."""
        return await self._get(_LOCK, id=id)

    async def find_by_login(self, key: str) -> User | None:
        """Return the account that signs in under this folded user name or e-mail address."""
        # An @ may be in a user name only if it is one's own e-mail address: so one look-up does.
        return await self.connection.one(_FIND_BY_EMAIL if "@" in key else _FIND_BY_NAME, key=key)

    async def insert(
        self, registration: Registration, *, password_hash: str, role: Role, at: int
    ) -> User | None:
        """Store a new account; None when one of its names is taken."""
        return await self.connection.one(
            _INSERT,
            uuid=new_uuid(),
            username=registration.username,
            email=registration.email,
            phone_number=registration.phone_number,
            name=registration.name,
            password_hash=password_hash,
            role=role.value,
            created_at=at,
            **_keys(registration),
        )

    async def taken(self, registration: Registration) -> tuple[str, ...]:
        """Return which of `username`, `email`, `phone_number` somebody else has, in this order."""
        return tuple(await self.connection.all(_TAKEN, **_keys(registration)))

    async def lock_administrators(self) -> list[int]:
        """Return the ids of all active administrators, and hold their rows until the end."""
        return await self.connection.all(_LOCK_ADMINISTRATORS)

    async def has_administrator(self) -> bool:
        """Tell whether there is an administrator, active or not."""
        return await self.connection.one(_HAS_ADMINISTRATOR) is not None

    async def set_role(self, id: int, role: Role) -> User:
        """Change what a user may do. Raises `NotFound`."""
        return await self._get(_SET_ROLE, id=id, role=role.value)

    async def set_disabled_at(self, id: int, disabled_at: int | None) -> User:
        """Disable an account, or enable it again. Raises `NotFound`."""
        return await self._get(_SET_DISABLED_AT, id=id, disabled_at=disabled_at)

    async def set_verified_at(self, id: int, *, at: int) -> User:
        """Note that the e-mail address is this user's own. Raises `NotFound`."""
        return await self._get(_SET_VERIFIED_AT, id=id, at=at)

    async def set_password_hash(self, id: int, password_hash: str) -> None:
        """Replace the hash of the password."""
        await self.connection.run(_SET_PASSWORD_HASH, id=id, password_hash=password_hash)

    async def delete(self, id: int, *, at: int) -> None:
        """Let nobody find or name an account any more. Raises `NotFound`."""
        if not await self.connection.run(_DELETE, id=id, at=at):
            raise NotFound("user")

    async def erase(self, id: int) -> bool:
        """Remove the row of a deleted account; False while its texts and files are not all gone."""
        return await self.connection.run(_ERASE, id=id) > 0

    async def is_deleted(self, id: int) -> bool:
        """Tell whether this was somebody's account."""
        return await self.connection.one(_IS_DELETED, id=id) is not None

    async def set_last_login_at(self, id: int, *, at: int) -> User:
        """Note a sign-in. Raises `NotFound`."""
        return await self._get(_SET_LAST_LOGIN_AT, id=id, at=at)

    async def list(self, *, before: int, limit: int) -> list[User]:
        """Return accounts with ids below `before`, newest first."""
        return await self.connection.all(_LIST, before=before, limit=limit)

    async def _get(self, statement: Statement[User], **values: Any) -> User:
        user = await self.connection.one(statement, **values)
        if user is None:
            raise NotFound("user")
        return user


def _keys(registration: Registration) -> dict[str, str | None]:
    return {
        "username_key": username_key(registration.username),
        "email_key": email_key(registration.email),
        "phone_key": phone_key(registration.phone_number),
    }
