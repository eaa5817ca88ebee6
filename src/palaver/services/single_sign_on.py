"""Single sign-on: the way to an identity provider and back, and what one gets for it.

A sign-in that is under way is a row, good for one return. It belongs to the browser in which it
began (by a cookie), or to the client that shows the verifier of its challenge in the end: so nobody
can make somebody else finish what they began themselves.
"""

import base64
import contextlib
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from palaver.domain.accounts import AccountPolicy
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput, NotFound
from palaver.domain.identity_providers import (
    Ceremony,
    Departure,
    ExternalIdentity,
    IdentityProvider,
    Refusal,
    SingleSignOn,
)
from palaver.domain.users import Actor, AuditAction, CookieSignIn, TokenSignIn, User
from palaver.kit.clock import MINUTE, SECOND, Clock, system_clock
from palaver.kit.ids import new_secret
from palaver.services.audit import note
from palaver.services.external_accounts import ExternalAccounts, Newcomer, active
from palaver.services.openings import ACCESS_LIFETIME_SECONDS, Opener, Openings
from palaver.services.throttle import Throttle
from palaver.services.tokens import fingerprint, is_same_secret
from palaver.storage.database import Database, retrying
from palaver.storage.tx import Tx

S = TypeVar("S")

AWAY_FOR: Final = 10 * MINUTE
"""How long somebody may take at the provider."""
CODE_GOOD_FOR: Final = 60 * SECOND
PURPOSE: Final = "single sign-on"


class Beginning(msgspec.Struct, frozen=True):
    """Where to send a browser, and the `state` that its client will see again."""

    authorization_url: str
    state: str


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody brings back from a provider, as it stands in the address."""

    state: str
    code: str | None = None
    error: str | None = None
    issuer: str | None = None


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send somebody who came back: with a session, a code, or an error."""

    departure: Departure
    sign_in: CookieSignIn | None = None
    code: str | None = None
    error: str | None = None  # in the words of RFC 6749, 4.1.2.1
    refusal: Refusal = Refusal.FAILED  # where there is an error
    reason: str | None = None  # a sentence for people


class SingleSignOnService:
    """Signing in by the word of an identity provider."""

    def __init__(
        self,
        db: Database,
        providers: Sequence[IdentityProvider],
        *,
        policy: AccountPolicy,
        settings: SingleSignOn,
        openings: Openings,
        throttle: Throttle,
        clock: Clock = system_clock,
    ) -> None:
        self.db = db
        self.providers = {provider.id: provider for provider in providers}
        self.settings = settings
        self.openings = openings
        self.throttle = throttle
        self.clock = clock
        self._accounts = ExternalAccounts(policy, link_by_email=settings.link_by_email)
        self._key = hmac.digest(policy.secret_key.encode(), b"palaver single sign-on", "sha256")

    async def close(self) -> None:
        """Give up every connection to the providers."""
        for provider in self.providers.values():
            await provider.close()

    def offers(self, actor: Actor) -> list[IdentityProvider]:  # noqa: ARG002  # anybody may know
        """Return the providers that one can sign in with."""
        return list(self.providers.values())

    def choose(self, actor: Actor, id: str | None) -> IdentityProvider:  # noqa: ARG002  # as above
        """Return the provider of an id, the only one where none is named. Raises `InvalidInput`."""
        if not self.providers:
            raise _wrong("provider", "Single sign-on is not set up on this server.")
        if not id and len(self.providers) == 1:
            return next(iter(self.providers.values()))
        if id not in self.providers:
            raise _wrong("provider", f"This must be one of {', '.join(self.providers)}.")
        return self.providers[id]

    def check_redirect(self, actor: Actor, address: str) -> None:  # noqa: ARG002  # as above
        """Raise `InvalidInput` unless the operator lets people be sent to this address."""
        if address not in self.settings.redirects:
            message = "This address is not on the allow list: the administrator can add it."
            raise _wrong("redirect_uri", message)

    @retrying
    async def begin(self, actor: Actor, departure: Departure, *, browser: str) -> Beginning:  # noqa: ARG002  # anybody may
        """Return where to sign in; `browser` is the secret in the cookie of whoever asks.

        Raises `InvalidInput`, `ProviderError`.
        """
        provider = self.providers[departure.provider_id]
        state = new_secret()
        url = await provider.authorization_url(self._ceremony(state, departure))
        async with self.db.transaction() as tx:
            at = self.clock()
            await tx.login_states.purge(at=at)
            await tx.login_states.insert(
                fingerprint(state),
                departure,
                browser_hash=fingerprint(browser),
                expires_at=at + AWAY_FOR,
            )
        return Beginning(url, departure.client_state or state)

    async def finish(self, actor: Actor, returned: Return, *, browser: str) -> Arrival:
        """Let somebody in who came back from the provider, or say why not.

        Raises `InvalidInput` (a state that is unknown, used, too old or another browser's),
        `DomainError` (`LOGIN_THROTTLED`). What fails after that is told in the arrival.
        """
        departure = await self._departure(actor, returned.state, browser=browser)
        try:
            if returned.error is not None or returned.code is None:
                return _refused_there(departure, returned.error)
            provider = self.providers[departure.provider_id]
            identity = await provider.identify(
                self._ceremony(returned.state, departure), returned.code, issuer=returned.issuer
            )
            return await self._arrival(actor, departure, identity)
        except DomainError as error:
            if error.kind not in _REFUSALS:
                raise
            await self._note_failure(actor, departure)
            return _refused_here(departure, error)

    @retrying
    async def redeem(
        self,
        actor: Actor,
        code: str,
        *,
        code_verifier: str | None = None,
        access_lifetime_seconds: int = ACCESS_LIFETIME_SECONDS,
    ) -> TokenSignIn:
        """Change a code for tokens. Of parallel tries one succeeds.

        Raises `DomainError`: `INVALID_CREDENTIALS`, `LOGIN_THROTTLED`, `USER_INACTIVE`.
        """
        opener = self.openings.by_tokens(access_lifetime_seconds)
        async with self.db.transaction() as tx:
            at = self.clock()
            attempt = await self.throttle.prepare_alone(tx, actor.client, PURPOSE, at=at)
            found = await tx.exchange_codes.take(fingerprint(code), at=at)
            if found is not None and _is_verified(found.code_challenge, code_verifier):
                with contextlib.suppress(NotFound):  # the account was deleted meanwhile
                    user = active(await tx.users.lock(found.owner_id))
                    return await self._opened(tx, actor, user, found.provider_id, opener, at=at)
            # The code is gone even so: whoever has it without the verifier has stolen it.
            await self.throttle.count(tx, attempt)
        message = "This code is unknown, has run out, or was used already. Sign in again."
        raise DomainError(message, kind=ErrorKind.INVALID_CREDENTIALS)

    async def _departure(self, actor: Actor, state: str, *, browser: str) -> Departure:
        async with self.db.transaction() as tx:
            at = self.clock()
            attempt = await self.throttle.prepare_alone(tx, actor.client, PURPOSE, at=at)
            departure = await tx.login_states.take(
                fingerprint(state), browser_hash=fingerprint(browser), at=at
            )
            if departure is None or departure.provider_id not in self.providers:
                departure = None
                await self.throttle.count(tx, attempt)
        if departure is None:
            raise _wrong(
                "state",
                "This sign-in is unknown, has run out, was used already, or was begun in another "
                "browser. Begin again.",
            )
        return departure

    @retrying
    async def _arrival(
        self, actor: Actor, departure: Departure, identity: ExternalIdentity
    ) -> Arrival:
        newcomer = Newcomer(identity, departure.provider_id, departure.invite_code)
        async with self.db.transaction() as tx:
            at = self.clock()
            user = await self._accounts.account_of(tx, actor, newcomer, at=at)
            if departure.is_own:
                opener = self.openings.by_cookie
                id = departure.provider_id
                sign_in = await self._opened(tx, actor, user, id, opener, at=at)
                return Arrival(departure=departure, sign_in=sign_in)
            code = new_secret()
            await tx.exchange_codes.purge(at=at)
            await tx.exchange_codes.insert(
                fingerprint(code),
                owner_id=user.id,
                provider_id=departure.provider_id,
                code_challenge=departure.code_challenge,
                expires_at=at + CODE_GOOD_FOR,
            )
        return Arrival(departure=departure, code=code)

    async def _opened(
        self, tx: Tx, actor: Actor, user: User, provider_id: str, opener: Opener[S], *, at: int
    ) -> S:
        who = msgspec.structs.replace(actor, user_id=user.id)
        by = [f"by {provider_id}"]
        await note(tx, who, AuditAction.SIGNED_IN, user.username, details=by, at=at)
        return await opener(tx, user, actor.client, at=at)

    async def _note_failure(self, actor: Actor, departure: Departure) -> None:
        async with self.db.transaction() as tx:
            failed = AuditAction.SIGN_IN_FAILED
            await note(tx, actor, failed, f"by {departure.provider_id}", at=self.clock())

    def _ceremony(self, state: str, departure: Departure) -> Ceremony:
        """Return the secrets that belong to a state; made of it anew, they are stored nowhere."""
        return Ceremony(
            state=state,
            nonce=self._derived(b"nonce", state),
            code_verifier=self._derived(b"verifier", state),
            callback_uri=departure.callback_uri,
        )

    def _derived(self, purpose: bytes, state: str) -> str:
        digest = hmac.digest(self._key, purpose + b"\0" + state.encode(), "sha256")
        return _base64url(digest)


def _is_verified(challenge: str | None, verifier: str | None) -> bool:
    """Tell whether this client began the sign-in (RFC 7636, 4.6, S256)."""
    if challenge is None:
        return True
    if verifier is None:
        return False
    digest = hashlib.sha256(verifier.encode("utf-8", "replace")).digest()
    return is_same_secret(challenge, _base64url(digest))


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _refused_there(departure: Departure, error: str | None) -> Arrival:
    """Return what becomes of somebody whom the provider sent back without a code."""
    if error == "access_denied":
        refusal, reason = Refusal.DENIED, "The sign-in was not allowed, or was given up."
    else:
        refusal, reason = Refusal.FAILED, "The identity provider did not sign you in."
    known = error if error in _ERRORS else "server_error"
    return Arrival(departure=departure, error=known, refusal=refusal, reason=reason)


def _refused_here(departure: Departure, error: DomainError) -> Arrival:
    code, refusal = _REFUSALS[error.kind]
    return Arrival(departure=departure, error=code, refusal=refusal, reason=error.message)


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput.of(field, Fault.NOT_ALLOWED, message, place="query")


_AWAY: Final = ("temporarily_unavailable", Refusal.UNREACHABLE)
_REFUSALS: Final = {
    ErrorKind.REGISTRATION_CLOSED: ("access_denied", Refusal.CLOSED),
    ErrorKind.INVALID_INVITE: ("access_denied", Refusal.NOT_INVITED),
    ErrorKind.USER_INACTIVE: ("access_denied", Refusal.DISABLED),
    ErrorKind.PROVIDER_UNREACHABLE: _AWAY,
    ErrorKind.PROVIDER_TIMEOUT: _AWAY,
    ErrorKind.PROVIDER_OVERLOADED: _AWAY,
    ErrorKind.PROVIDER_FAILED: ("server_error", Refusal.FAILED),
}
_ERRORS: Final = frozenset(
    {
        "access_denied",
        "account_selection_required",
        "consent_required",
        "interaction_required",
        "invalid_request",
        "invalid_scope",
        "login_required",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_response_type",
    }
)
"""What a provider may say (RFC 6749, 4.1.2.1; OpenID Connect Core 1.0, 3.1.2.6)."""
