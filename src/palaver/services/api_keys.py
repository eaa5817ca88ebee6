"""API keys: made, listed and revoked by who signed in; by them programs sign in."""

import contextlib
from collections.abc import Iterable
from typing import Final

from palaver.domain.accounts import AccountPolicy
from palaver.domain.api_keys import (
    DEFAULT_SCOPES,
    KEYS_MAX,
    MARK,
    PREFIX_LENGTH,
    ApiKey,
    NewApiKey,
    Scope,
    checked_name,
)
from palaver.domain.cursors import LAST_ID, LIMIT, LIMIT_MAX, Stretch, parse_cursor
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput
from palaver.domain.users import Actor, AuditAction, Client, Role
from palaver.kit.clock import DAY, MINUTE, Clock, system_clock
from palaver.kit.ids import new_secret
from palaver.services.audit import note
from palaver.services.tokens import fingerprint
from palaver.storage.api_keys import KeyPresence
from palaver.storage.database import Busy, Database

TOUCHED_AFTER: Final = 5 * MINUTE
"""A use is written down at most so often: not with every request."""
REVOKED_KEPT: Final = 30 * DAY
_GIVEN_MAX_LENGTH: Final = 100


class ApiKeyService:
    """One's own keys. What is stored of a key is its SHA-256.

    Nothing slower is needed: passwords are hashed at a cost because they can be guessed, and nobody
    guesses 256 random bits.
    """

    def __init__(self, db: Database, *, policy: AccountPolicy, clock: Clock = system_clock) -> None:
        self.db = db
        self.policy = policy
        self.clock = clock

    async def authenticate(self, key: str, client: Client) -> Actor:
        """Return whose key this is. Raises `DomainError`: `INVALID_TOKEN`, `USER_INACTIVE`."""
        at = self.clock()
        found = await self._find(key)
        if found is None or not _is_live(found, at=at):
            raise DomainError("Invalid or expired API key.", kind=ErrorKind.INVALID_TOKEN)
        if found.disabled_at is not None:
            raise DomainError("This account is disabled.", kind=ErrorKind.USER_INACTIVE)
        if found.last_used_at is None or found.last_used_at < at - TOUCHED_AFTER:
            await self._touch(found, at=at)
        is_admin = found.role is Role.ADMIN
        return Actor(
            found.user_id,
            # Where administrators see more than others, a key of theirs does only if it says so.
            found.role if Scope.ADMIN in found.scopes else Role.USER,
            client=client,
            user_uuid=found.user_uuid,
            key_id=found.key_id,
            scopes=found.scopes,
            must_enrol=found.second_factor_at is None
            and self.policy.second_factor.binds(is_admin=is_admin),
        )

    async def create(
        self,
        actor: Actor,
        *,
        name: str,
        scopes: Iterable[Scope] | None = None,
        expires_at: int | None = None,
    ) -> NewApiKey:
        """Make a key, and return its secret, which nobody can see again.

        Without scopes it has all but `admin`. Raises `InvalidInput`, `DomainError`
        (`ADMIN_REQUIRED` for the scope `admin`, `CONFLICT` where there are too many).
        """
        name = checked_name(name)
        wanted = DEFAULT_SCOPES if scopes is None else frozenset(scopes)
        if not wanted:
            raise InvalidInput.of("scopes", Fault.BLANK, "A key needs a scope.", limit=1)
        if Scope.ADMIN in wanted:
            actor.require_admin()
        at = self.clock()
        if expires_at is not None and expires_at <= at:
            message = "This instant has passed already."
            raise InvalidInput.of("expires_at", Fault.TOO_SMALL, message)
        key = MARK + new_secret()
        async with self.db.transaction() as tx:
            user = await tx.users.lock(actor.owner_id)
            if await tx.api_keys.count(user.id) >= KEYS_MAX:
                message = f"There are {KEYS_MAX} keys already: revoke one."
                raise DomainError(message, kind=ErrorKind.CONFLICT)
            made = await tx.api_keys.insert(
                user.id,
                name=name,
                prefix=key[:PREFIX_LENGTH],
                key_hash=fingerprint(key),
                scopes=wanted,
                at=at,
                expires_at=expires_at,
            )
            await note(tx, actor, AuditAction.KEY_CREATED, made.prefix, details=[name], at=at)
        return NewApiKey(made, key)

    async def list(
        self, actor: Actor, *, cursor: str | None = None, limit: int = LIMIT
    ) -> Stretch[ApiKey]:
        """Return one's own keys, newest first; expired ones too. Raises `InvalidInput`."""
        before, limit = parse_cursor(cursor, first=LAST_ID), min(limit, LIMIT_MAX)
        async with self.db.read() as tx:
            found = await tx.api_keys.list(actor.owner_id, before=before, limit=limit + 1)
        return Stretch.of(found, limit=limit, id=lambda key: key.id)

    async def revoke(self, actor: Actor, uuid: str) -> None:
        """Make a key useless at once, on every worker; its open streams end. Raises `NotFound`."""
        async with self.db.transaction() as tx:
            at = self.clock()
            revoked = await tx.api_keys.revoke(uuid, owner_id=actor.owner_id, at=at)
            await note(
                tx, actor, AuditAction.KEY_REVOKED, revoked.prefix, details=[revoked.name], at=at
            )

    async def purge(self, actor: Actor) -> int:
        """Forget keys that were revoked long ago; return how many. For jobs."""
        actor.require_admin()
        async with self.db.transaction() as tx:
            return await tx.api_keys.purge(before=self.clock() - REVOKED_KEPT)

    async def _find(self, key: str) -> KeyPresence | None:
        if not key.startswith(MARK) or len(key) > _GIVEN_MAX_LENGTH:
            return None
        async with self.db.read() as tx:
            return await tx.api_keys.find(fingerprint(key))

    async def _touch(self, found: KeyPresence, *, at: int) -> None:
        # A note that could not be made is made with the next request.
        with contextlib.suppress(Busy):
            async with self.db.transaction() as tx:
                await tx.api_keys.touch(found.key_id, at=at, before=at - TOUCHED_AFTER)


def _is_live(found: KeyPresence, *, at: int) -> bool:
    return found.revoked_at is None and (found.expires_at is None or at < found.expires_at)
