"""The port to identity providers: who somebody is, by the word of a server that people trust."""

import enum
import secrets
import unicodedata
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from palaver.domain.errors import ErrorKind, ProviderError

DEFAULT_SCOPES: Final = ("openid", "profile", "email")
_USERNAME_LONGEST: Final = 64


class LinkByEmail(enum.StrEnum):
    """Which accounts a first sign-in may be joined to by an e-mail address.

    The provider's address is always one that it has verified. What an account holds may have been
    typed in by anybody: whoever registers with somebody else's address first would share the
    account with them later.
    """

    OFF = "off"
    VERIFIED = "verified"  # those whose own address is verified too
    ALL = "all"  # all of them: the operator vouches for their addresses


class IdentityProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where an identity provider is, and as whom Palaver is known to it."""

    id: str
    name: str  # as it stands on the page: "Sign in with …"
    issuer: str  # as it writes itself, but for a slash at its end
    client_id: str
    client_secret: str | None = None  # None: a public client, which PKCE alone protects
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    setting: str  # where it is set up, for sentences: `[identity_providers.keycloak]`
    timeout_seconds: float = 10.0  # of each request

    def __repr__(self) -> str:
        """Leave the secret out: what is shown may be logged."""
        return f"IdentityProviderSettings({self.id!r}, {self.issuer!r})"


class SingleSignOn(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator can set about signing in with identity providers."""

    redirects: frozenset[str] = frozenset()  # beside our own pages
    link_by_email: LinkByEmail = LinkByEmail.OFF


class Ceremony(msgspec.Struct, frozen=True):
    """The secrets of one way there and back; each is unguessable, and none is used twice."""

    state: str
    nonce: str
    code_verifier: str  # RFC 7636
    callback_uri: str  # where the provider sends people back to

    def __repr__(self) -> str:
        return "Ceremony(…)"


class Departure(msgspec.Struct, frozen=True):
    """Somebody on the way to a provider: by whose doing, and where to go on to afterwards."""

    provider_id: str
    callback_uri: str
    target: str  # an address on the allow list, or the path of a page of ours
    is_own: bool  # a page of ours: the browser is signed in, no code is handed out
    client_state: str | None = None  # what the client wants to see again
    code_challenge: str | None = None  # of a client that proves itself by PKCE
    invite_code: str | None = None


class ExternalIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody as a provider knows them: issuer and subject together never mean anybody else."""

    issuer: str
    subject: str
    username: str | None = None
    name: str | None = None
    email: str | None = None
    is_email_verified: bool = False

    @property
    def verified_email(self) -> str | None:
        """Return the address that the provider vouches for; any other is only a claim."""
        return self.email if self.is_email_verified else None

    def usernames(self) -> Iterator[str]:
        """Yield user names for a new account, the likeliest first; the last are never taken."""
        given = self.username or self.verified_email or ""
        base = _username(given) or _username(self.name or "") or "user"
        yield base
        for number in range(2, 10):
            yield f"{base}{number}"
        for _ in range(3):
            yield f"{base}-{secrets.token_hex(4)}"


def _username(given: str) -> str:
    """Return what a user name may hold of a text; of an address the part before its @."""
    text = unicodedata.normalize("NFKC", given).strip().partition("@")[0]
    kept = "".join(map(_username_part, text))
    return unicodedata.normalize("NFC", kept)[:_USERNAME_LONGEST].strip("-.")


def _username_part(character: str) -> str:
    if character.isspace():
        return "."
    is_allowed = character in "_.+-" or unicodedata.category(character)[0] in "LMN"
    return character if is_allowed else ""


class Refusal(enum.StrEnum):
    """Why somebody was not signed in, as a page of ours tells them."""

    DENIED = "denied"  # at the provider, by them or by it
    CLOSED = "closed"
    NOT_INVITED = "not_invited"
    DISABLED = "disabled"
    UNREACHABLE = "unreachable"
    FAILED = "failed"


class CodeRefused(ProviderError):
    """The provider does not know (any more) what somebody brought back from it."""

    kind = ErrorKind.PROVIDER_FAILED


class IdentityProvider(Protocol):
    """One identity provider. Raises `ProviderError` and nothing else."""

    @property
    def id(self) -> str:
        """Return the id by which it is configured."""

    @property
    def name(self) -> str:
        """Return what people call it."""

    async def authorization_url(self, ceremony: Ceremony) -> str:
        """Return where to send somebody who wants to sign in."""

    async def identify(
        self, ceremony: Ceremony, code: str, *, issuer: str | None
    ) -> ExternalIdentity:
        """Return who came back with this code, and with this `iss` if there was one (RFC 9207).

        Raises `CodeRefused`, `ProviderError`.
        """

    async def check(self) -> None:
        """Ask it for what it says of itself, and for its keys."""

    async def close(self) -> None:
        """Give up every connection."""
