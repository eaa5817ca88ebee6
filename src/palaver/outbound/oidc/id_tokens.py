"""What an ID token says, and whether it may be believed.

Source: OpenID Connect Core 1.0, "ID Token Validation" and "Access Token Validation".
"""

import base64
import binascii
import hashlib
import hmac
from typing import Annotated, Final

import msgspec

from palaver.domain.identity_providers import Ceremony, ExternalIdentity
from palaver.kit.clock import SECOND
from palaver.kit.text import storable
from palaver.outbound.oidc.keys import ALGORITHMS, Header

SKEW_SECONDS: Final = 60
MAX_LENGTH: Final = 64 * 1024
CLAIM_MAX_LENGTH: Final = 254

Subject = Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Person(msgspec.Struct, frozen=True):
    """The claims about a person, in an ID token or from the userinfo endpoint."""

    sub: Subject
    preferred_username: str | None = None
    name: str | None = None
    email: str | None = None
    email_verified: bool | str | None = None  # some write it as a text

    @property
    def says_enough(self) -> bool:
        """Tell whether an account can be made of this."""
        return bool(self.email or self.preferred_username)

    def identity(self, issuer: str) -> ExternalIdentity:
        """Return it as the domain knows it."""
        return ExternalIdentity(
            issuer=issuer,
            subject=self.sub,
            username=_claim(self.preferred_username),
            name=_claim(self.name),
            email=_claim(self.email),
            is_email_verified=self.email_verified in {True, "true"},
        )


class Claims(Person, frozen=True, kw_only=True):
    """All of an ID token."""

    iss: str
    aud: str | list[str]
    exp: float
    iat: float
    nbf: float | None = None
    azp: str | None = None
    nonce: str | None = None
    at_hash: str | None = None


def header_of(token: str) -> Header | None:
    """Return the header of a signed token, None where it is none."""
    if len(token) > MAX_LENGTH or not token.isascii() or token.count(".") != 2:
        return None
    part = token.partition(".")[0]
    try:
        content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        return msgspec.json.decode(content, type=Header)
    except (ValueError, RecursionError, binascii.Error):
        return None


def claims_of(payload: bytes) -> Claims | None:
    """Return the claims of a token whose signature was right, None where they are none."""
    try:
        return msgspec.json.decode(payload, type=Claims)
    except (ValueError, RecursionError):
        return None


def fault_of(
    claims: Claims, *, issuer: str, client_id: str, ceremony: Ceremony, at: int
) -> str | None:
    """Return why these claims cannot be believed, None where they can."""
    now = at / SECOND
    audience = claims.aud if isinstance(claims.aud, list) else [claims.aud]
    if claims.iss != issuer:
        return "it is of another issuer"
    if client_id not in audience:
        return "it is meant for another application"
    if claims.azp != client_id and (claims.azp is not None or len(audience) > 1):
        return "it was given to another application"
    if not now < claims.exp + SKEW_SECONDS:
        return "it has expired"
    if claims.iat > now + SKEW_SECONDS or (claims.nbf or 0) > now + SKEW_SECONDS:
        return "it is of the future: are the clocks right?"
    if not hmac.compare_digest((claims.nonce or "").encode(), ceremony.nonce.encode()):
        return "it belongs to another sign-in"
    return None


def is_of_token(claims: Claims, access_token: str | None, algorithm: str) -> bool:
    """Tell whether `at_hash`, where there is one, is that of the access token."""
    if claims.at_hash is None or access_token is None:
        return True
    digest = hashlib.new(_hash_of(algorithm), access_token.encode()).digest()
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    return hmac.compare_digest(claims.at_hash.encode(), half)


def _hash_of(algorithm: str) -> str:
    # EdDSA hashes with SHA-512 itself (RFC 8032, 5.1).
    return "sha512" if ALGORITHMS[algorithm] == "OKP" else f"sha{algorithm[-3:]}"


def _claim(text: str | None) -> str | None:
    # What is longer is no name, and no address either.
    clean = storable(text or "").strip()
    return clean if 0 < len(clean) <= CLAIM_MAX_LENGTH else None
