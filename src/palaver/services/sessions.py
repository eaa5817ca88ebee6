"""Sessions: signing in and out, and who is behind a cookie or a token.

One row per sign-in decides: when it has ended, no cookie and no token of it counts, on any worker.
"""

import contextlib
from typing import Final, TypeVar

from palaver.domain.accounts import AccountPolicy
from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.users import (
    Actor,
    AuditAction,
    Client,
    CookieSignIn,
    Role,
    Session,
    TokenSignIn,
)
from palaver.kit.clock import HOUR, MINUTE, SECOND, Clock, system_clock
from palaver.services.audit import note
from palaver.services.doorkeeper import Doorkeeper
from palaver.services.openings import ACCESS_LIFETIME_SECONDS, Opener, Openings
from palaver.services.throttle import KNOWN_FOR
from palaver.services.tokens import Claims, fingerprint
from palaver.storage.database import Busy, Database, retrying
from palaver.storage.sessions import Presence

S = TypeVar("S")

LIST_LIMIT: Final = 1000


class SessionService:
    """Sign-ins. Only `authenticate_*` make an `Actor`; everything else is given one."""

    def __init__(
        self,
        db: Database,
        *,
        policy: AccountPolicy,
        openings: Openings,
        doorkeeper: Doorkeeper,
        clock: Clock = system_clock,
    ) -> None:
        self.db = db
        self.policy = policy
        self.clock = clock
        self.openings = openings
        self.doorkeeper = doorkeeper
        self.tokens = openings.tokens
        # A use is written down once a minute; with short lifetimes, at a twentieth of them.
        self._lifetime = policy.session_lifetime_seconds * SECOND
        self._touch_after = min(MINUTE, self._lifetime // 20)

    async def authenticate_cookie(self, cookie: str, client: Client) -> Actor:
        """Return who holds a browser's session.

        Raises `DomainError`: `UNAUTHENTICATED` (never issued), `SESSION_EXPIRED`, `USER_INACTIVE`.
        """
        async with self.db.read() as tx:
            presence = await tx.sessions.find_by_cookie(fingerprint(cookie))
        if presence is None:
            raise DomainError("Sign in first.", kind=ErrorKind.UNAUTHENTICATED)
        at = self.clock()
        if not _is_live(presence, at=at):
            message = "This session has ended. Sign in again."
            raise DomainError(message, kind=ErrorKind.SESSION_EXPIRED)
        if at - presence.last_used_at >= self._touch_after:
            await self._touch(presence, at=at, expires_at=at + self._lifetime)
        return self._actor(presence, client)

    async def authenticate_token(self, token: str, client: Client) -> Actor:
        """Return who holds an access token. Raises `DomainError`: `INVALID_TOKEN`, `USER_INACTIVE`.

        A refresh token is no access token.
        """
        at = self.clock()
        presence = await self._family(self.tokens.decode(token, "access", at=at))
        if presence is None or not _is_live(presence, at=at):
            raise DomainError("Invalid or expired token.", kind=ErrorKind.INVALID_TOKEN)
        if at - presence.last_used_at >= MINUTE:
            await self._touch(presence, at=at, expires_at=presence.expires_at)
        return self._actor(presence, client)

    def csrf_token(self, cookie: str) -> str:
        """Return the CSRF token of the session with this cookie."""
        return self.tokens.csrf_token(cookie)

    def is_csrf_token(self, cookie: str, given: str) -> bool:
        """Tell whether this is the CSRF token of the session with this cookie."""
        return self.tokens.is_csrf_token(cookie, given)

    async def sign_in(
        self,
        actor: Actor,
        *,
        username: str,
        password: str,
        otp: str | None = None,
    ) -> CookieSignIn:
        """Open a browser's session, by user name or e-mail address.

        `otp` is the one-time code of an account that has a second factor, or a recovery code.
        Raises `DomainError`: `LOGIN_THROTTLED`, `INVALID_CREDENTIALS` (as `OneTimeCodeRefused`
        where it is for the code), `USER_INACTIVE`.
        """
        return await self._sign_in(actor, username, password, otp, self.openings.by_cookie)

    async def sign_in_for_tokens(
        self,
        actor: Actor,
        *,
        username: str,
        password: str,
        otp: str | None = None,
        access_lifetime_seconds: int = ACCESS_LIFETIME_SECONDS,
    ) -> TokenSignIn:
        """Open a family of tokens. Raises as `sign_in` does."""
        opener = self.openings.by_tokens(access_lifetime_seconds)
        return await self._sign_in(actor, username, password, otp, opener)

    async def refresh(
        self,
        actor: Actor,  # noqa: ARG002  # a use case names its caller
        refresh_token: str,
        *,
        access_lifetime_seconds: int = ACCESS_LIFETIME_SECONDS,
    ) -> TokenSignIn:
        """Return a new access token, and the same refresh token.

        Raises `DomainError`: `INVALID_REFRESH_TOKEN`, `USER_INACTIVE`.
        """
        at = self.clock()
        presence = await self._refreshable(refresh_token, at=at)
        if not _is_live(presence, at=at):
            raise _no_refresh_token()
        async with self.db.read() as tx:
            user = await tx.users.get(presence.user_id)
        await self._touch(presence, at=at, expires_at=presence.expires_at)
        return self.openings.access(
            user,
            presence.session_uuid,
            refresh_token,
            at=at,
            expires_at=min(at + access_lifetime_seconds * SECOND, presence.expires_at),
        )

    async def sign_out(self, actor: Actor) -> None:
        """End the session that this call came with: a browser's, or the whole family of tokens."""
        if actor.session_id is not None:
            await self._end(actor, actor.session_id)

    async def sign_out_family(self, actor: Actor, refresh_token: str) -> None:
        """End the family of one's own refresh token; it may have ended already.

        Raises `DomainError` (`INVALID_REFRESH_TOKEN`).
        """
        presence = await self._refreshable(refresh_token, at=self.clock())
        if presence.user_id != actor.owner_id:
            raise _no_refresh_token()
        await self._end(actor, presence.session_id)

    async def end(self, actor: Actor, uuid: str) -> bool:
        """End one of one's own sign-ins, on every worker. Raises `NotFound`.

        Tells whether it is the one that this call came with.
        """
        async with self.db.transaction() as tx:
            at = self.clock()
            id = await tx.sessions.end_own(uuid, owner_id=actor.owner_id, at=at)
            await note(tx, actor, AuditAction.SESSION_ENDED, uuid, at=at)
        return id == actor.session_id

    async def end_others(self, actor: Actor) -> int:
        """End all of one's own sign-ins but the one that this call came with; return how many."""
        async with self.db.transaction() as tx:
            at = self.clock()
            ended = await tx.sessions.end_others(actor.owner_id, at=at, except_id=actor.session_id)
            await note(tx, actor, AuditAction.SESSION_ENDED, "all others", at=at)
        return ended

    async def purge(self, actor: Actor, *, before: int) -> int:
        """Forget sign-ins that ended before an instant, and what no throttle asks for any more.

        Until then a cookie that has ended is told from one that was never issued. Returns how many
        rows are gone. For jobs and administrators.
        """
        actor.require_admin()
        at = self.clock()
        async with self.db.transaction() as tx:
            return (
                await tx.sessions.purge(before=before)
                + await tx.origins.purge(before=at - KNOWN_FOR)
                + await tx.failures.purge(before=at - HOUR)
            )

    async def list(self, actor: Actor) -> list[Session]:
        """Return one's own live sign-ins, the latest used first."""
        async with self.db.read() as tx:
            return await tx.sessions.list(actor.owner_id, at=self.clock(), limit=LIST_LIMIT)

    @retrying
    async def _sign_in(
        self, actor: Actor, username: str, password: str, otp: str | None, opener: Opener[S]
    ) -> S:
        entry = await self.doorkeeper.check(actor, username, password, otp=otp)
        async with self.db.transaction() as tx:
            at = self.clock()
            user = await self.doorkeeper.admit(tx, entry)
            await tx.audit.append(
                AuditAction.SIGNED_IN,
                target=user.username,
                actor_user_id=user.id,
                client=actor.client,
                at=at,
            )
            return await opener(tx, user, actor.client, at=at)

    def _actor(self, presence: Presence, client: Client) -> Actor:
        is_admin = presence.role is Role.ADMIN
        return Actor(
            presence.user_id,
            presence.role,
            presence.session_id,
            client,
            user_uuid=presence.user_uuid,
            must_enrol=presence.second_factor_at is None
            and self.policy.second_factor.binds(is_admin=is_admin),
        )

    async def _family(self, claims: Claims | None) -> Presence | None:
        if claims is None:
            return None
        async with self.db.read() as tx:
            presence = await tx.sessions.find_by_uuid(claims.sid)
        return presence if presence is not None and presence.user_uuid == claims.sub else None

    async def _refreshable(self, refresh_token: str, *, at: int) -> Presence:
        presence = await self._family(self.tokens.decode(refresh_token, "refresh", at=at))
        if presence is None:
            raise _no_refresh_token()
        return presence

    async def _touch(self, presence: Presence, *, at: int, expires_at: int) -> None:
        # A note that could not be made is made with the next request.
        with contextlib.suppress(Busy):
            async with self.db.transaction() as tx:
                await tx.sessions.touch(
                    presence.session_id,
                    last_used_at=presence.last_used_at,
                    at=at,
                    expires_at=expires_at,
                )

    async def _end(self, actor: Actor, session_id: int) -> None:
        async with self.db.transaction() as tx:
            at = self.clock()
            if await tx.sessions.end(session_id, at=at):
                await tx.audit.append(
                    AuditAction.SIGNED_OUT,
                    target=None,
                    actor_user_id=actor.user_id,
                    client=actor.client,
                    at=at,
                )


def _is_live(presence: Presence, *, at: int) -> bool:
    if presence.disabled_at is not None:
        raise DomainError("This account is disabled.", kind=ErrorKind.USER_INACTIVE)
    return presence.ended_at is None and at < presence.expires_at


def _no_refresh_token() -> DomainError:
    return DomainError("Token is invalid or expired.", kind=ErrorKind.INVALID_REFRESH_TOKEN)
