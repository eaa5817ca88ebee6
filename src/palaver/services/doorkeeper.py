"""The doorkeeper: whether a name and a password belong together, asked no more than allowed."""

import msgspec

from palaver.domain.accounts import login_key, username_key
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput
from palaver.domain.otp import OneTimeCodeRefused
from palaver.domain.users import Actor, AuditAction, Client, User
from palaver.kit.clock import Clock
from palaver.services.one_time_codes import OneTimeCodes
from palaver.services.passwords import Passwords
from palaver.services.throttle import Attempt, Throttle
from palaver.storage.database import Conflict, Database
from palaver.storage.tx import Tx


class Entry(msgspec.Struct, frozen=True):
    """Somebody whose password, and one-time code, were right a moment ago."""

    user: User
    client: Client
    attempt: Attempt
    otp: str | None  # the one-time code, where the account takes one
    new_hash: str | None  # the same password's, at today's costs

    def __repr__(self) -> str:
        return f"Entry({self.user.username!r}, …)"


class Doorkeeper:
    """Checks passwords under the throttle; whoever is checked is then admitted, or not."""

    def __init__(
        self,
        db: Database,
        *,
        clock: Clock,
        passwords: Passwords,
        throttle: Throttle,
        codes: OneTimeCodes,
    ) -> None:
        self.db = db
        self.clock = clock
        self.passwords = passwords
        self.throttle = throttle
        self.codes = codes

    async def check(
        self, actor: Actor, name: str, password: str, *, otp: str | None = None
    ) -> Entry:
        """Return who this is, by user name or e-mail address.

        Raises `DomainError`: `LOGIN_THROTTLED`, `INVALID_CREDENTIALS` (as `OneTimeCodeRefused`
        where it is for the code), `USER_INACTIVE`.
        """
        key = login_key(name)
        async with self.db.read() as tx:
            user = await tx.users.find_by_login(key) if key is not None else None
            attempt = await self.throttle.prepare(
                tx, actor.client, user, username_key(name), at=self.clock()
            )
        return await self._checked(actor, user, password, otp, attempt)

    async def check_again(self, actor: Actor, password: str, *, otp: str | None = None) -> Entry:
        """Return the caller, whose own password this is. Raises as `check` does."""
        async with self.db.read() as tx:
            user = await tx.users.get(actor.owner_id)
            attempt = await self.throttle.prepare(tx, actor.client, user, "", at=self.clock())
        return await self._checked(actor, user, password, otp, attempt)

    async def check_own(
        self, actor: Actor, password: str, *, otp: str | None = None, field: str = "password"
    ) -> Entry:
        """Return the caller, as `check_again` does, for who is signed in already.

        A wrong password, or code, is the fault of its field: raises `InvalidInput`, `DomainError`
        (`LOGIN_THROTTLED`).
        """
        try:
            return await self.check_again(actor, password, otp=otp)
        except OneTimeCodeRefused as error:
            fault = Fault.MISSING if error.is_missing else Fault.NOT_ALLOWED
            raise InvalidInput.of("otp", fault, error.message) from None
        except DomainError as error:
            if error.kind is not ErrorKind.INVALID_CREDENTIALS:
                raise
            message = "This is not your password."
            raise InvalidInput.of(field, Fault.NOT_ALLOWED, message) from None

    async def admit(self, tx: Tx, entry: Entry) -> User:
        """Let somebody in within a transaction: the attempt was no failure.

        The one-time code is used up now: of two that came with the same one, the second is
        refused. Raises `DomainError` (`USER_INACTIVE`, `INVALID_CREDENTIALS`), and `Conflict` when
        the password has changed since it was checked: then it has to be checked again.
        """
        user = await tx.users.lock(entry.user.id)
        if user.password_hash != entry.user.password_hash:
            raise Conflict
        if not user.is_active:
            raise _inactive()
        at = self.clock()
        if await self.codes.use(tx, user, entry.otp, at=at):
            await tx.audit.append(
                AuditAction.RECOVERY_CODE_USED,
                target=user.username,
                actor_user_id=user.id,
                client=entry.client,
                at=at,
            )
        if entry.new_hash is not None:
            await tx.users.set_password_hash(user.id, entry.new_hash)
        await self.throttle.give_back(tx, entry.attempt)
        return user

    async def _checked(
        self,
        actor: Actor,
        user: User | None,
        password: str,
        otp: str | None,
        attempt: Attempt,
    ) -> Entry:
        if attempt.gates:
            async with self.db.transaction() as tx:
                await self.throttle.count(tx, attempt)
        is_right = await self.passwords.verify(user.password_hash if user else None, password)
        if user is None or not is_right:
            await self._note_failure(actor, user)
            raise DomainError(
                "The user name or the password is wrong.", kind=ErrorKind.INVALID_CREDENTIALS
            )
        if not user.is_active:
            await self._note_failure(actor, user)
            raise _inactive()
        if user.second_factor_at is not None:
            await self._check_code(actor, user, otp)
        is_outdated = self.passwords.is_outdated(user.password_hash)
        new_hash = await self.passwords.hash(password) if is_outdated else None
        return Entry(user, actor.client, attempt, otp, new_hash)

    async def _check_code(self, actor: Actor, user: User, otp: str | None) -> None:
        try:
            async with self.db.read() as tx:
                await self.codes.check(tx, user, otp, at=self.clock())
        except OneTimeCodeRefused:
            await self._note_failure(actor, user)
            async with self.db.transaction() as tx:
                await self.codes.note_wrong(tx, user, otp, at=self.clock())
            raise

    async def _note_failure(self, actor: Actor, user: User | None) -> None:
        # Not what was typed as a name that nobody has: people type passwords there.
        async with self.db.transaction() as tx:
            await tx.audit.append(
                AuditAction.SIGN_IN_FAILED,
                target=user.username if user else None,
                actor_user_id=actor.user_id,
                client=actor.client,
                at=self.clock(),
            )


def _inactive() -> DomainError:
    return DomainError("This account is disabled.", kind=ErrorKind.USER_INACTIVE)
