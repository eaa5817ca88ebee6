"""One provider: where it sends people, and whom it says that they are."""

import asyncio
import base64
import hashlib
import logging
from typing import Final
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec

from palaver.domain.errors import ProviderError
from palaver.domain.identity_providers import (
    Ceremony,
    CodeRefused,
    ExternalIdentity,
    IdentityProviderSettings,
)
from palaver.kit.clock import HOUR, Clock
from palaver.kit.tasks import Tasks
from palaver.outbound.oidc.client import Client, Reply
from palaver.outbound.oidc.discovery import Metadata, discover
from palaver.outbound.oidc.id_tokens import (
    Claims,
    Person,
    claims_of,
    fault_of,
    header_of,
    is_of_token,
)
from palaver.outbound.oidc.keys import ALGORITHMS, Header, KeyRing

log = logging.getLogger(__name__)

METADATA_FRESH_FOR: Final = HOUR
CODE_MAX_LENGTH: Final = 8192


class Grant(msgspec.Struct, frozen=True):
    """The good answer of a token endpoint (Core 1.0, "Successful Token Response")."""

    id_token: str
    access_token: str | None = None


class Refusal(msgspec.Struct, frozen=True):
    """The other one (RFC 6749, 5.2)."""

    error: str = ""


class OpenIDProvider:
    """An identity provider that speaks OpenID Connect: the code flow, with PKCE."""

    def __init__(self, settings: IdentityProviderSettings, *, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._client = Client(settings)
        self._keys = KeyRing(self._client, clock=clock)
        self._metadata: Metadata | None = None
        self._discovered_at = 0
        self._discovering: asyncio.Task[Metadata | ProviderError] | None = None
        self._tasks = Tasks()

    @property
    def id(self) -> str:
        """Return the id by which it is configured."""
        return self.settings.id

    @property
    def name(self) -> str:
        """Return what people call it."""
        return self.settings.name

    async def authorization_url(self, ceremony: Ceremony) -> str:
        """Return where to send somebody who wants to sign in. Raises `ProviderError`."""
        metadata = await self._discovered()
        query = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": ceremony.callback_uri,
            "scope": " ".join(self.settings.scopes),
            "state": ceremony.state,
            "nonce": ceremony.nonce,
            "code_challenge": s256(ceremony.code_verifier),
            "code_challenge_method": "S256",
        }
        address = metadata.authorization_endpoint
        return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"

    async def identify(
        self, ceremony: Ceremony, code: str, *, issuer: str | None
    ) -> ExternalIdentity:
        """Return who came back with this code. Raises `CodeRefused`, `ProviderError`."""
        metadata = await self._discovered()
        self._check_sender(metadata, issuer)
        grant = await self._grant(metadata, ceremony, code)
        claims = await self._claims(metadata, ceremony, grant)
        person = await self._person(metadata, claims, grant.access_token)
        return person.identity(metadata.issuer)

    async def check(self) -> None:
        """Ask it for what it says of itself, and for its keys. Raises `ProviderError`."""
        await self._keys.fetch((await self._discovered()).jwks_uri)

    async def close(self) -> None:
        """Give up every connection."""
        await self._tasks.cancel()
        await self._client.close()

    async def _discovered(self) -> Metadata:
        metadata = self._metadata
        if metadata is not None and self._clock() - self._discovered_at < METADATA_FRESH_FOR:
            return metadata
        # One question for all who wait, and one failure: they do not queue before a dead server.
        if self._discovering is None or self._discovering.done():
            self._discovering = self._tasks.start(self._discover(), name=f"discover {self.id}")
        found = await asyncio.shield(self._discovering)
        if isinstance(found, ProviderError):
            raise found
        return found

    async def _discover(self) -> Metadata | ProviderError:
        try:
            self._metadata = await discover(self._client)
        except ProviderError as error:
            return error
        self._discovered_at = self._clock()
        return self._metadata

    def _check_sender(self, metadata: Metadata, issuer: str | None) -> None:
        """Refuse what another provider sent: the code would go to the wrong one (RFC 9207)."""
        if issuer is None and not metadata.authorization_response_iss_parameter_supported:
            return
        if issuer != metadata.issuer:
            raise CodeRefused(f"This answer is not from {self.name}. Begin again.")

    async def _grant(self, metadata: Metadata, ceremony: Ceremony, code: str) -> Grant:
        if len(code) > CODE_MAX_LENGTH:
            raise self._refused()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": ceremony.callback_uri,
            "code_verifier": ceremony.code_verifier,
        }
        headers = self._authenticated(metadata, form)
        reply = await self._client.post(metadata.token_endpoint, form, headers=headers)
        if reply.status != 200:
            raise self._token_failure(reply)
        return self._client.read(reply, Grant)

    def _authenticated(self, metadata: Metadata, form: dict[str, str]) -> dict[str, str]:
        """Say who we are, in the way that the provider knows; in the header where it may be."""
        settings = self.settings
        secret = settings.client_secret
        methods = metadata.token_endpoint_auth_methods_supported
        if secret is not None and "client_secret_basic" in methods:
            pair = f"{quote_plus(settings.client_id)}:{quote_plus(secret)}"  # RFC 6749, 2.3.1
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        form["client_id"] = settings.client_id
        if secret is not None:
            if "client_secret_post" not in methods:
                raise ProviderError(
                    f"{self.name} takes no client secret that Palaver could send: let it take "
                    "client_secret_basic or client_secret_post."
                )
            form["client_secret"] = secret
        return {}

    def _token_failure(self, reply: Reply) -> ProviderError:
        if reply.status == 429 or reply.status >= 500:
            return self._client.failure(reply.status)
        error = self._client.read(reply, Refusal).error
        if error == "invalid_grant":
            return self._refused()
        if error in {"invalid_client", "unauthorized_client"}:
            return ProviderError(
                f"{self.name} does not know Palaver by this client id and secret: "
                f"check {self.settings.setting}."
            )
        return self._client.failure(reply.status)

    async def _claims(self, metadata: Metadata, ceremony: Ceremony, grant: Grant) -> Claims:
        """Return what the ID token says, if all of it can be believed."""
        header = header_of(grant.id_token)
        if header is None:
            raise self._unbelievable("it is no signed token")
        if not self._is_allowed(metadata, header):
            raise self._unbelievable("it is signed in a way that is not allowed")
        payload = await self._keys.payload(grant.id_token, header, metadata.jwks_uri)
        if payload is None:
            raise self._unbelievable("no key of the provider's has signed it")
        if (claims := claims_of(payload)) is None:
            raise self._unbelievable("it lacks what an ID token has to say")
        fault = fault_of(
            claims,
            issuer=metadata.issuer,
            client_id=self.settings.client_id,
            ceremony=ceremony,
            at=self._clock(),
        )
        if fault is not None:
            raise self._unbelievable(fault)
        if not is_of_token(claims, grant.access_token, header.alg):
            raise self._unbelievable("it came with an access token that is not its own")
        return claims

    def _is_allowed(self, metadata: Metadata, header: Header) -> bool:
        announced = metadata.id_token_signing_alg_values_supported
        return header.alg in ALGORITHMS and header.alg in announced

    async def _person(self, metadata: Metadata, claims: Claims, access_token: str | None) -> Person:
        """Return the ID token's claims, or those of the userinfo endpoint where it is silent."""
        if claims.says_enough or metadata.userinfo_endpoint is None or access_token is None:
            return claims
        person = await self._client.get(metadata.userinfo_endpoint, Person, bearer=access_token)
        if person.sub != claims.sub:
            # OpenID Connect Core 1.0, 5.3.2: otherwise it must not be used.
            raise self._unbelievable("its userinfo is about somebody else")
        return person

    def _refused(self) -> CodeRefused:
        return CodeRefused(f"{self.name} does not know this sign-in any more. Begin again.")

    def _unbelievable(self, why: str) -> ProviderError:
        log.warning("An ID token of %s was refused: %s.", self.id, why)
        return ProviderError(f"What {self.name} says cannot be believed: {why}.")


def s256(verifier: str) -> str:
    """Return the code challenge of a verifier (RFC 7636, 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
