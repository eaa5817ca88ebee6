"""Registrations: how accounts come to be, and the first administrator among them."""

from typing import Final, TypeVar

from msgspec.structs import replace

from palaver.domain.accounts import AccountPolicy, Registration, RegistrationMode, Taken
from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.users import Actor, AuditAction, CookieSignIn, Role, TokenSignIn, User
from palaver.kit.clock import Clock, system_clock
from palaver.services.audit import note
from palaver.services.openings import (
    ACCESS_LIFETIME_SECONDS,
    Opener,
    Openings,
    without_session,
)
from palaver.services.passwords import Passwords
from palaver.services.throttle import Throttle
from palaver.services.tokens import is_same_secret
from palaver.storage.database import Database
from palaver.storage.tx import Tx

S = TypeVar("S")

ADMINISTRATOR: Final = "administrator"
"""The fact that there is, or was, an administrator: from then on no token makes one."""


class RegistrationService:
    """New accounts: by people themselves, by an administrator, by the bootstrap token."""

    def __init__(
        self,
        db: Database,
        *,
        policy: AccountPolicy,
        openings: Openings,
        passwords: Passwords,
        throttle: Throttle,
        clock: Clock = system_clock,
    ) -> None:
        self.db = db
        self.policy = policy
        self.clock = clock
        self.openings = openings
        self.passwords = passwords
        self.throttle = throttle

    async def check_open(self, actor: Actor) -> None:  # noqa: ARG002  # nobody may, whoever asks
        """Raise `DomainError` (`REGISTRATION_CLOSED`) where nobody may register."""
        if self.policy.registration is RegistrationMode.CLOSED:
            raise DomainError("Registration is closed.", kind=ErrorKind.REGISTRATION_CLOSED)

    async def check_bootstrap(self, actor: Actor) -> None:  # noqa: ARG002  # see above
        """Raise `DomainError` (`BOOTSTRAP_DISABLED`) where no token makes an administrator."""
        async with self.db.read() as tx:
            if not self.policy.bootstrap_token or await tx.facts.find(ADMINISTRATOR) is not None:
                raise _bootstrap_disabled()

    async def register(
        self, actor: Actor, registration: Registration, *, invite_code: str | None = None
    ) -> User:
        """Make an account without signing in.

        Raises `DomainError` (`REGISTRATION_CLOSED`, `INVALID_INVITE`), `InvalidInput`, `Taken`.
        """
        return await self._register(actor, registration, invite_code, without_session)

    async def register_and_sign_in(
        self, actor: Actor, registration: Registration, *, invite_code: str | None = None
    ) -> CookieSignIn:
        """Make an account, and open a browser's session for it. Raises as `register` does."""
        return await self._register(actor, registration, invite_code, self.openings.by_cookie)

    async def register_for_tokens(
        self,
        actor: Actor,
        registration: Registration,
        *,
        invite_code: str | None = None,
        access_lifetime_seconds: int = ACCESS_LIFETIME_SECONDS,
    ) -> TokenSignIn:
        """Make an account, and open a family of tokens for it. Raises as `register` does."""
        opener = self.openings.by_tokens(access_lifetime_seconds)
        return await self._register(actor, registration, invite_code, opener)

    async def create(
        self, actor: Actor, registration: Registration, *, role: Role = Role.USER
    ) -> User:
        """Make an account for somebody else, whatever the mode. For administrators.

        Raises `DomainError` (`ADMIN_REQUIRED`), `InvalidInput`, `Taken`.
        """
        actor.require_admin()
        clean = registration.checked(self.policy.password_policy)
        password_hash = await self.passwords.hash(clean.password)
        async with self.db.transaction() as tx:
            at = self.clock()
            user = await _inserted(tx, clean, password_hash, role, at=at)
            if user.is_admin:
                await tx.facts.claim(ADMINISTRATOR, user.username)
            await note(tx, actor, AuditAction.USER_CREATED, user.username, at=at)
        return user

    async def bootstrap(
        self, actor: Actor, *, token: str, username: str, password: str
    ) -> CookieSignIn:
        """Make the first administrator, and open a browser's session for them.

        Raises `DomainError` (`BOOTSTRAP_DISABLED` without a token, and for good once there has
        been an administrator; `INVALID_BOOTSTRAP_TOKEN`, `LOGIN_THROTTLED`), `InvalidInput`,
        `Taken`. Of parallel calls one succeeds.
        """
        at = self.clock()
        async with self.db.read() as tx:
            if not self.policy.bootstrap_token or await tx.facts.find(ADMINISTRATOR) is not None:
                raise _bootstrap_disabled()
            attempt = await self.throttle.prepare_alone(tx, actor.client, "bootstrap", at=at)
        if attempt.gates:
            async with self.db.transaction() as tx:
                await self.throttle.count(tx, attempt)
        if not is_same_secret(self.policy.bootstrap_token, token):
            message = "The bootstrap token is wrong."
            raise DomainError(message, kind=ErrorKind.INVALID_BOOTSTRAP_TOKEN)
        registration = Registration(username=username, password=password)
        clean = registration.checked(self.policy.password_policy)
        password_hash = await self.passwords.hash(clean.password)
        async with self.db.transaction() as tx:
            at = self.clock()
            if not await tx.facts.claim(ADMINISTRATOR, clean.username):
                raise _bootstrap_disabled()
            user = await _inserted(tx, clean, password_hash, Role.ADMIN, at=at)
            await self.throttle.give_back(tx, attempt)
            who = replace(actor, user_id=user.id)
            await note(tx, who, AuditAction.BOOTSTRAPPED, user.username, at=at)
            return await self.openings.by_cookie(tx, user, actor.client, at=at)

    async def has_administrator(self, actor: Actor) -> bool:
        """Tell whether there is, or was, an administrator. For administrators and commands."""
        actor.require_admin()
        async with self.db.read() as tx:
            return await tx.facts.find(ADMINISTRATOR) is not None

    async def _register(
        self, actor: Actor, registration: Registration, code: str | None, opener: Opener[S]
    ) -> S:
        code = (code or "").strip()
        await self.check_open(actor)
        self._check_mode(code)
        async with self.db.read() as tx:
            if code and not (
                _could_be_code(code) and await tx.invites.is_good(code, at=self.clock())
            ):
                raise _invalid_invite()
            clean = registration.checked(self.policy.password_policy)
            await _check_free(tx, clean)
        password_hash = await self.passwords.hash(clean.password)
        async with self.db.transaction() as tx:
            at = self.clock()
            user = await _inserted(tx, clean, password_hash, Role.USER, at=at)
            who = replace(actor, user_id=user.id)
            await note(tx, who, AuditAction.REGISTERED, user.username, at=at)
            if code:
                if await tx.invites.redeem(code, user_id=user.id, at=at) is None:
                    raise _invalid_invite()
                await note(tx, who, AuditAction.INVITE_REDEEMED, code, at=at)
            return await opener(tx, user, actor.client, at=at)

    def _check_mode(self, code: str) -> None:
        if self.policy.registration is RegistrationMode.INVITE and not code:
            raise _invalid_invite()


async def _inserted(
    tx: Tx, registration: Registration, password_hash: str, role: Role, *, at: int
) -> User:
    user = await tx.users.insert(registration, password_hash=password_hash, role=role, at=at)
    if user is None:
        await _check_free(tx, registration)
        # Somebody else had the name, and gave it up in between.
        raise DomainError("Please try once more.", kind=ErrorKind.CONFLICT)
    return user


async def _check_free(tx: Tx, registration: Registration) -> None:
    if taken := await tx.users.taken(registration):
        raise Taken(taken)


def _could_be_code(code: str) -> bool:
    return code.isascii() and code.isprintable()


def _invalid_invite() -> DomainError:
    message = "A valid invite code is needed: this one is unknown, used up, revoked or expired."
    return DomainError(message, kind=ErrorKind.INVALID_INVITE)


def _bootstrap_disabled() -> DomainError:
    return DomainError("There is nothing to set up.", kind=ErrorKind.BOOTSTRAP_DISABLED)
