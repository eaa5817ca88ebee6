"""A new password by a link that works once: administrators make it and hand it on."""

from typing import Final

import msgspec

from palaver.domain.accounts import AccountPolicy
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput
from palaver.domain.passwords import password_faults
from palaver.domain.users import Actor, AuditAction, User
from palaver.kit.clock import HOUR, Clock, system_clock
from palaver.kit.ids import new_secret
from palaver.services.audit import note
from palaver.services.passwords import Passwords
from palaver.services.tokens import fingerprint
from palaver.storage.database import Database
from palaver.storage.tx import Tx

VALID_FOR: Final = 24 * HOUR
PATH: Final = "/app/reset"
_GIVEN_MAX_LENGTH: Final = 100


class PasswordReset(msgspec.Struct, frozen=True):
    """A link, whose token is shown this once: who has it may choose the user's password."""

    user: User
    token: str
    expires_at: int

    @property
    def path(self) -> str:
        """Return where the link leads, below our origin."""
        return f"{PATH}?token={self.token}"

    def __repr__(self) -> str:
        return f"PasswordReset(user={self.user.username!r}, …)"


class PasswordResetService:
    """Links that reset a password. The second factor, where there is one, stays as it is."""

    def __init__(
        self,
        db: Database,
        *,
        policy: AccountPolicy,
        passwords: Passwords,
        clock: Clock = system_clock,
    ) -> None:
        self.db = db
        self.policy = policy
        self.passwords = passwords
        self.clock = clock

    async def create(self, actor: Actor, user: int | str) -> PasswordReset:
        """Make a link for an account by its id or uuid; a former one is of no use any more.

        For administrators, and for others than themselves. Raises `NotFound`, `InvalidInput`.
        """
        actor.require_admin()
        token = new_secret()
        async with self.db.transaction() as tx:
            at = self.clock()
            found = (
                await tx.users.get(user)
                if isinstance(user, int)
                else await tx.users.get_by_uuid(user)
            )
            if found.id == actor.user_id:
                # Whoever finds a browser unlocked must not get to keep the account.
                message = "Your own password is changed with the current one."
                raise InvalidInput.of("user", Fault.NOT_ALLOWED, message)
            expires_at = at + VALID_FOR
            await tx.password_resets.put(
                found.id, token_hash=fingerprint(token), at=at, expires_at=expires_at
            )
            await note(tx, actor, AuditAction.RESET_LINK_MADE, found.username, at=at)
        return PasswordReset(found, token, expires_at)

    async def find(self, actor: Actor, token: str) -> User:  # noqa: ARG002  # the token is who asks
        """Return whose password a link resets.

        Raises `DomainError` (`INVALID_TOKEN`) where it has run out or was used, or never was.
        """
        async with self.db.read() as tx:
            return await self._user(tx, token)

    async def redeem(self, actor: Actor, token: str, *, password: str) -> User:
        """Set the new password; all sessions of the account end, and the link is used up.

        Raises `InvalidInput`, `DomainError` (`INVALID_TOKEN`, `USER_INACTIVE`).
        """
        user = await self.find(actor, token)
        policy, names = self.policy.password_policy, (user.username, user.email)
        has_second_factor = user.second_factor_at is not None
        if faults := password_faults(
            password, names=names, policy=policy, has_second_factor=has_second_factor
        ):
            raise InvalidInput(faults)
        password_hash = await self.passwords.hash(password)
        async with self.db.transaction() as tx:
            at = self.clock()
            if await tx.password_resets.use(fingerprint(token), at=at) is None:
                raise _no_link()
            user = await tx.users.lock(user.id)
            await tx.users.set_password_hash(user.id, password_hash)
            await tx.sessions.end_others(user.id, at=at)
            who = msgspec.structs.replace(actor, user_id=user.id)
            await note(tx, who, AuditAction.PASSWORD_RENEWED, user.username, at=at)
        return user

    async def purge(self, actor: Actor) -> int:
        """Forget links that have run out; return how many. For jobs."""
        actor.require_admin()
        async with self.db.transaction() as tx:
            return await tx.password_resets.purge(before=self.clock())

    async def _user(self, tx: Tx, token: str) -> User:
        if not token or len(token) > _GIVEN_MAX_LENGTH:
            raise _no_link()
        owner_id = await tx.password_resets.find(fingerprint(token), at=self.clock())
        if owner_id is None:
            raise _no_link()
        user = await tx.users.get(owner_id)
        if not user.is_active:
            raise DomainError("This account is disabled.", kind=ErrorKind.USER_INACTIVE)
        return user


def _no_link() -> DomainError:
    message = "This link was used already, or has run out. Ask an administrator for another."
    return DomainError(message, kind=ErrorKind.INVALID_TOKEN)
