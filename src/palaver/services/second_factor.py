"""The second factor: an authenticator app, and recovery codes for the day that it is lost."""

import msgspec

from palaver.domain import otp
from palaver.domain.accounts import AccountPolicy
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput
from palaver.domain.passwords import password_faults
from palaver.domain.users import Actor, AuditAction, User
from palaver.kit.clock import Clock, system_clock
from palaver.services.audit import note
from palaver.services.doorkeeper import Doorkeeper
from palaver.storage.database import Database, retrying
from palaver.storage.tx import Tx


class SecondFactorStatus(msgspec.Struct, frozen=True):
    """Whether there is a second factor, since when, and whether there has to be one."""

    confirmed_at: int | None
    recovery_codes_left: int
    is_required: bool


class Enrolment(msgspec.Struct, frozen=True):
    """What an authenticator app needs; it counts once a code of it has come back."""

    secret: str
    otpauth_uri: str

    def __repr__(self) -> str:
        return "Enrolment(…)"


class SecondFactorService:
    """One's own second factor; administrators can take off anybody else's."""

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
        self.doorkeeper = doorkeeper
        self.codes = doorkeeper.codes
        self.clock = clock

    async def status(self, actor: Actor) -> SecondFactorStatus:
        """Return how one's own account stands."""
        async with self.db.read() as tx:
            user = await tx.users.get(actor.owner_id)
            left = await tx.second_factors.count_codes(user.id)
        is_required = self.policy.second_factor.binds(is_admin=user.is_admin)
        return SecondFactorStatus(user.second_factor_at, left, is_required)

    @retrying
    async def enrol(self, actor: Actor, *, password: str) -> Enrolment:
        """Begin: return a new secret, which does not count before `confirm`.

        Raises `InvalidInput` (a wrong password), `DomainError` (`CONFLICT` where there is a second
        factor already, `LOGIN_THROTTLED`).
        """
        async with self.db.read() as tx:
            _refuse_second(await tx.users.get(actor.owner_id))
        entry = await self.doorkeeper.check_own(actor, password)
        secret = otp.new_secret()
        async with self.db.transaction() as tx:
            user = await self.doorkeeper.admit(tx, entry)
            sealed = self.codes.seal(user.id, secret)
            if not await tx.second_factors.begin(user.id, secret=sealed, at=self.clock()):
                _refuse_second(user)
                raise _exists()
        return Enrolment(secret, otp.otpauth_uri(secret, account=user.username))

    @retrying
    async def confirm(self, actor: Actor, *, code: str) -> list[str]:
        """Let it count, by a first code of the app; return the recovery codes, shown this once.

        All other sessions end: they were opened without it. Raises `InvalidInput`, `DomainError`
        (`CONFLICT` where nothing was begun, or it counts already).
        """
        at = self.clock()
        recovery_codes = [otp.new_recovery_code() for _ in range(otp.RECOVERY_CODES)]
        async with self.db.transaction() as tx:
            user = await tx.users.lock(actor.owner_id)
            _refuse_second(user)
            factor = await tx.second_factors.find(user.id)
            if factor is None:
                message = "Begin with a new secret: there is none to confirm."
                raise DomainError(message, kind=ErrorKind.CONFLICT)
            secret = self.codes.open(user.id, factor.secret)
            digits = otp.given_digits(code) or ""
            step = otp.matching_step(secret, digits, at=at, after=factor.last_step)
            if step is None:
                message = "This is not the code that the app shows now."
                raise InvalidInput.of("code", Fault.NOT_ALLOWED, message)
            if not await tx.second_factors.confirm(user.id, step=step, at=at):
                raise _exists()
            await self._put_codes(tx, user, recovery_codes)
            await tx.sessions.end_others(user.id, at=at, except_id=actor.session_id)
            await note(tx, actor, AuditAction.SECOND_FACTOR_ADDED, user.username, at=at)
        return recovery_codes

    @retrying
    async def renew_codes(self, actor: Actor, *, password: str, code: str | None) -> list[str]:
        """Return ten new recovery codes, in place of all that there were.

        Raises `InvalidInput`, `DomainError` (`CONFLICT` without a second factor,
        `LOGIN_THROTTLED`).
        """
        entry = await self.doorkeeper.check_own(actor, password, otp=code)
        recovery_codes = [otp.new_recovery_code() for _ in range(otp.RECOVERY_CODES)]
        async with self.db.transaction() as tx:
            user = await self.doorkeeper.admit(tx, entry)
            if user.second_factor_at is None:
                raise _none_there()
            await self._put_codes(tx, user, recovery_codes)
            done = AuditAction.RECOVERY_CODES_RENEWED
            await note(tx, actor, done, user.username, at=self.clock())
        return recovery_codes

    @retrying
    async def disable(self, actor: Actor, *, password: str, code: str | None) -> None:
        """Sign in by the password alone from now on.

        Raises `InvalidInput`, `DomainError` (`CONFLICT` without a second factor, `FORBIDDEN` where
        it is required, `LOGIN_THROTTLED`).
        """
        status = await self.status(actor)
        if status.confirmed_at is None:
            raise _none_there()
        if status.is_required:
            message = "A second factor is required here: it cannot be taken off."
            raise DomainError(message, kind=ErrorKind.FORBIDDEN)
        # Beside a second factor a strict policy takes shorter ones.
        if faults := password_faults(password, policy=self.policy.password_policy):
            raise InvalidInput(faults)
        entry = await self.doorkeeper.check_own(actor, password, otp=code)
        async with self.db.transaction() as tx:
            user = await self.doorkeeper.admit(tx, entry)
            await tx.second_factors.remove(user.id)
            done = AuditAction.SECOND_FACTOR_REMOVED
            await note(tx, actor, done, user.username, at=self.clock())

    async def remove(self, actor: Actor, user: int | str) -> None:
        """Take off the second factor of somebody who lost it, and end their sessions.

        For administrators, and for others than themselves. Raises `NotFound`, `InvalidInput`,
        `DomainError` (`CONFLICT` without a second factor).
        """
        actor.require_admin()
        async with self.db.transaction() as tx:
            if isinstance(user, str):
                user = (await tx.users.get_by_uuid(user)).id
            found = await tx.users.lock(user)
            if found.id == actor.user_id:
                message = "You cannot take off your own second factor here."
                raise InvalidInput.of("user", Fault.NOT_ALLOWED, message)
            if found.second_factor_at is None:
                raise _none_there()
            at = self.clock()
            await tx.second_factors.remove(found.id)
            await tx.sessions.end_others(found.id, at=at)
            await note(tx, actor, AuditAction.SECOND_FACTOR_REMOVED, found.username, at=at)

    async def _put_codes(self, tx: Tx, user: User, codes: list[str]) -> None:
        hashes = [self.codes.hash(user.id, code) for code in codes]
        await tx.second_factors.replace_codes(user.id, hashes)


def _refuse_second(user: User) -> None:
    if user.second_factor_at is not None:
        raise _exists()


def _exists() -> DomainError:
    return DomainError("There is a second factor already.", kind=ErrorKind.CONFLICT)


def _none_there() -> DomainError:
    return DomainError("There is no second factor.", kind=ErrorKind.CONFLICT)
