"""Openings: what happens in the transaction that signs somebody in, whatever let them in."""

from typing import Final, Protocol, TypeVar

from palaver.domain.accounts import AccountPolicy
from palaver.domain.throttling import network
from palaver.domain.users import Client, CookieSignIn, Session, TokenSignIn, User
from palaver.kit.clock import SECOND
from palaver.kit.ids import new_secret
from palaver.services.throttle import known_origins
from palaver.services.tokens import Tokens, fingerprint
from palaver.storage.origins import ADDRESS, DEVICE
from palaver.storage.tx import Tx

S_co = TypeVar("S_co", covariant=True)

ACCESS_LIFETIME_SECONDS: Final = 1800


class Opener(Protocol[S_co]):
    """Opens a session for a user within a transaction, and returns what the client gets."""

    async def __call__(self, tx: Tx, user: User, client: Client, *, at: int) -> S_co:
        """Await nothing but `tx`."""


class Openings:
    """The two kinds of session: a browser's cookie, and a family of tokens."""

    def __init__(self, policy: AccountPolicy, tokens: Tokens) -> None:
        self.policy = policy
        self.tokens = tokens

    async def by_cookie(self, tx: Tx, user: User, client: Client, *, at: int) -> CookieSignIn:
        """Open a browser's session."""
        known = await known_origins(tx, client, user, at=at)
        # A device that this account does not know gets a value of ours: nobody can choose one.
        device = client.device if DEVICE in known else new_secret()
        cookie = new_secret()
        session = await tx.sessions.create(
            user.id,
            token_hash=fingerprint(cookie),
            client=client,
            at=at,
            expires_at=at + self.policy.session_lifetime_seconds * SECOND,
        )
        return CookieSignIn(
            user=await self._noted(tx, user, client, device=device, at=at),
            session=session,
            cookie=cookie,
            csrf_token=self.tokens.csrf_token(cookie),
            device=device,
        )

    def by_tokens(self, access_lifetime_seconds: int) -> Opener[TokenSignIn]:
        """Return what opens a family of tokens."""

        async def open(tx: Tx, user: User, client: Client, *, at: int) -> TokenSignIn:
            known = await known_origins(tx, client, user, at=at)
            device = client.device if DEVICE in known else None
            session = await tx.sessions.create(
                user.id,
                token_hash=None,
                client=client,
                at=at,
                expires_at=at + self.policy.refresh_lifetime_seconds * SECOND,
            )
            user = await self._noted(tx, user, client, device=device, at=at)
            refresh_token = self._refresh_token(user, session, at=at)
            return self.access(
                user,
                session.uuid,
                refresh_token,
                at=at,
                expires_at=min(at + access_lifetime_seconds * SECOND, session.expires_at),
            )

        return open

    def access(
        self, user: User, session_uuid: str, refresh_token: str, *, at: int, expires_at: int
    ) -> TokenSignIn:
        """Return a new access token of a family beside its one refresh token."""
        access_token = self.tokens.encode(
            "access", user_uuid=user.uuid, session_uuid=session_uuid, at=at, expires_at=expires_at
        )
        return TokenSignIn(
            user=user,
            access_token=access_token,
            refresh_token=refresh_token,
            expires_in_seconds=(expires_at - at) // SECOND,
        )

    def _refresh_token(self, user: User, session: Session, *, at: int) -> str:
        return self.tokens.encode(
            "refresh",
            user_uuid=user.uuid,
            session_uuid=session.uuid,
            at=at,
            expires_at=session.expires_at,
        )

    async def _noted(
        self, tx: Tx, user: User, client: Client, *, device: str | None, at: int
    ) -> User:
        await tx.origins.remember(user.id, kind=ADDRESS, value=network(client.address), at=at)
        if device is not None:
            await tx.origins.remember(user.id, kind=DEVICE, value=fingerprint(device), at=at)
        return await tx.users.set_last_login_at(user.id, at=at)


async def without_session(
    tx: Tx,  # noqa: ARG001  # an `Opener` that has no need of its arguments
    user: User,
    client: Client,  # noqa: ARG001
    *,
    at: int,  # noqa: ARG001
) -> User:
    """Open nothing."""
    return user
