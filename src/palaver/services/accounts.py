"""Accounts: one's own, and everybody's for administrators."""

from typing import Final

from palaver.domain.accounts import AccountPolicy, login_key
from palaver.domain.cursors import LAST_ID
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput, NotFound
from palaver.domain.passwords import password_faults
from palaver.domain.users import Actor, AuditAction, Role, User
from palaver.kit.clock import Clock, system_clock
from palaver.services.audit import note
from palaver.services.doorkeeper import Doorkeeper
from palaver.services.registrations import ADMINISTRATOR
from palaver.storage.database import Database, retrying
from palaver.storage.tx import Tx

LIST_LIMIT: Final = 1000
ERASE_JOB: Final = "erase_account"


class AccountService:
    """Users, their passwords, roles and status."""

    def __init__(
        self,
        db: Database,
        *,
        policy: AccountPolicy,
        doorkeeper: Doorkeeper,
        clock: Clock = system_clock,
    ) -> None:
        self.db = db
        self.policy = policy
        self.clock = clock
        self.doorkeeper = doorkeeper

    async def me(self, actor: Actor) -> User:
        """Return the caller's account."""
        async with self.db.read() as tx:
            return await tx.users.get(actor.owner_id)

    async def get(self, actor: Actor, id: int) -> User:
        """Return anybody's account. For administrators. Raises `NotFound`."""
        actor.require_admin()
        async with self.db.read() as tx:
            return await tx.users.get(id)

    async def get_by_name(self, actor: Actor, name: str) -> User:
        """Return the account with this user name or e-mail address. Raises `NotFound`.

        For administrators.
        """
        actor.require_admin()
        async with self.db.read() as tx:
            return await user_named(tx, name)

    async def update(
        self, actor: Actor, id: int, *, role: Role | None = None, is_active: bool | None = None
    ) -> User:
        """Change what a user may do, or whether they may at all; None leaves it as it is.

        Disabling ends all their sessions at once. For administrators, and for others than
        themselves. Raises `NotFound`, `InvalidInput`, `DomainError` (`ADMIN_REQUIRED`).
        """
        actor.require_admin()
        if id == actor.user_id:
            field = "status" if role is None else "role"
            raise InvalidInput.of(field, Fault.NOT_ALLOWED, "You cannot change your own account.")
        async with self.db.transaction() as tx:
            await _check_still_administrator(tx, actor)
            user = await tx.users.lock(id)
            if role is not None and role is not user.role:
                user = await self._set_role(tx, actor, user, role)
            if is_active is not None and is_active is not user.is_active:
                user = await self._set_active(tx, actor, user, is_active=is_active)
        return user

    @retrying
    async def change_password(
        self,
        actor: Actor,
        *,
        current_password: str,
        new_password: str,
        otp: str | None = None,
    ) -> User:
        """Change one's own password, which ends all one's other sessions.

        Raises `InvalidInput` (also for a wrong `current_password` or `otp`), `DomainError`
        (`LOGIN_THROTTLED`).
        """
        user = await self.me(actor)
        self._check_password(user, new_password, field="new_password")
        entry = await self.doorkeeper.check_own(
            actor, current_password, otp=otp, field="current_password"
        )
        password_hash = await self.doorkeeper.passwords.hash(new_password)
        async with self.db.transaction() as tx:
            user = await self.doorkeeper.admit(tx, entry)
            at = self.clock()
            await tx.users.set_password_hash(user.id, password_hash)
            await tx.sessions.end_others(user.id, at=at, except_id=actor.session_id)
            await tx.password_resets.remove(user.id)
            await note(tx, actor, AuditAction.PASSWORD_CHANGED, user.username, at=at)
        return user

    async def reset_password(self, actor: Actor, id: int, *, password: str) -> User:
        """Give a user a new password, which ends all their sessions. For administrators.

        Raises `NotFound`, `InvalidInput`.
        """
        user = await self.get(actor, id)
        self._check_password(user, password, field="password")
        password_hash = await self.doorkeeper.passwords.hash(password)
        async with self.db.transaction() as tx:
            await _check_still_administrator(tx, actor)
            user = await tx.users.lock(id)
            await tx.users.set_password_hash(id, password_hash)
            at = self.clock()
            await tx.sessions.end_others(id, at=at, except_id=actor.session_id)
            await note(tx, actor, AuditAction.PASSWORD_RESET, user.username, at=at)
        return user

    @retrying
    async def delete_own(self, actor: Actor, *, password: str, otp: str | None = None) -> None:
        """Delete one's own account: gone at once, everywhere; a job removes what it held.

        Raises `InvalidInput` (a wrong `password` or `otp`), `DomainError` (`LOGIN_THROTTLED`;
        `CONFLICT` for the last administrator).
        """
        entry = await self.doorkeeper.check_own(actor, password, otp=otp)
        async with self.db.transaction() as tx:
            administrators = await tx.users.lock_administrators()
            user = await self.doorkeeper.admit(tx, entry)
            if administrators == [user.id]:
                message = "You are the last administrator: make somebody else one first."
                raise DomainError(message, kind=ErrorKind.CONFLICT)
            await self._delete(tx, actor, user, AuditAction.ACCOUNT_DELETED)

    async def delete(self, actor: Actor, user: int | str) -> None:
        """Delete somebody's account by its id or uuid, as they could themselves.

        For administrators, and for others than themselves. Raises `NotFound`, `InvalidInput`.
        """
        actor.require_admin()
        async with self.db.transaction() as tx:
            await _check_still_administrator(tx, actor)
            if isinstance(user, str):
                user = (await tx.users.get_by_uuid(user)).id
            found = await tx.users.lock(user)
            if found.id == actor.user_id:
                message = "You cannot delete your own account here."
                raise InvalidInput.of("user", Fault.NOT_ALLOWED, message)
            await self._delete(tx, actor, found, AuditAction.USER_DELETED)

    async def list(
        self, actor: Actor, *, before: int = LAST_ID, limit: int = LIST_LIMIT
    ) -> list[User]:
        """Return accounts with ids below `before`, newest first, at most 1000.

        For administrators.
        """
        actor.require_admin()
        async with self.db.read() as tx:
            return await tx.users.list(before=before, limit=min(limit, LIST_LIMIT))

    def _check_password(self, user: User, password: str, *, field: str) -> None:
        if faults := password_faults(
            password,
            names=(user.username, user.email),
            policy=self.policy.password_policy,
            has_second_factor=user.second_factor_at is not None,
            field=field,
        ):
            raise InvalidInput(faults)

    async def _delete(self, tx: Tx, actor: Actor, user: User, done: AuditAction) -> None:
        at = self.clock()
        await tx.sessions.end_others(user.id, at=at)
        await tx.api_keys.revoke_all(user.id, at=at)
        await tx.second_factors.remove(user.id)
        await tx.password_resets.remove(user.id)
        await tx.origins.forget(user.id)
        await tx.external_identities.forget(user.id)
        await tx.users.delete(user.id, at=at)
        await tx.jobs.enqueue(ERASE_JOB, {"user_id": user.id})
        await note(tx, actor, done, user.username, at=at)

    async def _set_role(self, tx: Tx, actor: Actor, user: User, role: Role) -> User:
        if role is Role.ADMIN:
            await tx.facts.claim(ADMINISTRATOR, user.username)
        done, to = AuditAction.ROLE_CHANGED, [role.value]
        await note(tx, actor, done, user.username, details=to, at=self.clock())
        return await tx.users.set_role(user.id, role)

    async def _set_active(self, tx: Tx, actor: Actor, user: User, *, is_active: bool) -> User:
        at = self.clock()
        if not is_active:
            await tx.sessions.end_others(user.id, at=at)
        done, to = AuditAction.STATUS_CHANGED, ["active" if is_active else "disabled"]
        await note(tx, actor, done, user.username, details=to, at=at)
        return await tx.users.set_disabled_at(user.id, None if is_active else at)


async def user_named(tx: Tx, name: str) -> User:
    """Return the account with this user name or e-mail address. Raises `NotFound`."""
    key = login_key(name)
    user = None if key is None else await tx.users.find_by_login(key)
    if user is None:
        raise NotFound("user")
    return user


async def _check_still_administrator(tx: Tx, actor: Actor) -> None:
    # Two who demote each other at the same time would leave nobody: the second one is refused.
    if actor.user_id is not None and actor.user_id not in await tx.users.lock_administrators():
        message = "Only an administrator may do this."
        raise DomainError(message, kind=ErrorKind.ADMIN_REQUIRED)
