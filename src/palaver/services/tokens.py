"""Secrets that clients hold: tokens (JWT), CSRF tokens, and the fingerprints of cookies."""

import hashlib
import hmac
import secrets
from typing import Final, Literal, TypeAlias

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from palaver.kit.clock import SECOND

TokenType: TypeAlias = Literal["access", "refresh"]

_ALGORITHM: Final = "HS256"
_BEGINNING: Final = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
"""The header of every token of ours. No other is parsed: some of them make the library stumble."""
_MAX_LENGTH: Final = 4096


class Claims(msgspec.Struct, frozen=True):
    """What a token says: whose it is, of which sign-in, what for, and until when (seconds)."""

    sub: str  # the user's uuid
    sid: str  # the session's uuid
    typ: TokenType
    iat: int
    exp: int
    jti: str


class Tokens:
    """Makes and reads what is signed with the server's secret key."""

    def __init__(self, secret_key: str) -> None:
        self._jwt_key = OctKey.import_key(_derived(secret_key, b"palaver tokens"))
        self._csrf_key = _derived(secret_key, b"palaver csrf")

    def encode(
        self, type: TokenType, *, user_uuid: str, session_uuid: str, at: int, expires_at: int
    ) -> str:
        """Return a signed token; instants are in microseconds, and rounded down."""
        claims = Claims(
            sub=user_uuid,
            sid=session_uuid,
            typ=type,
            iat=at // SECOND,
            exp=expires_at // SECOND,
            jti=secrets.token_urlsafe(9),
        )
        header = {"alg": _ALGORITHM, "typ": "JWT"}
        return jwt.encode(header, msgspec.to_builtins(claims), self._jwt_key, default_type=None)

    def decode(self, token: str, type: TokenType, *, at: int) -> Claims | None:
        """Return the claims of a token of ours, of this type, that has not run out; else None.

        Whether its sign-in is still live is for the caller to see.
        """
        if len(token) > _MAX_LENGTH or not token.isascii() or not token.startswith(_BEGINNING):
            return None
        try:
            decoded = jwt.decode(token, self._jwt_key, algorithms=[_ALGORITHM])
            claims = msgspec.convert(decoded.claims, Claims)
        except (JoseError, ValueError):  # msgspec's ValidationError is a ValueError
            return None
        return claims if claims.typ == type and at < claims.exp * SECOND else None

    def csrf_token(self, cookie: str) -> str:
        """Return the CSRF token that belongs to the cookie with this value."""
        return hmac.digest(self._csrf_key, cookie.encode("utf-8", "replace"), "sha256").hex()

    def is_csrf_token(self, cookie: str, given: str) -> bool:
        """Compare in constant time."""
        return is_same_secret(self.csrf_token(cookie), given)


def fingerprint(secret: str) -> str:
    """Return what is stored of a secret with at least 128 random bits: its SHA-256 in hex."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def is_same_secret(secret: str, given: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(secret.encode("utf-8", "replace"), given.encode("utf-8", "replace"))


def _derived(secret_key: str, purpose: bytes) -> bytes:
    # A key per purpose, so that nothing signed for one can pass for another.
    return hmac.digest(secret_key.encode(), purpose, "sha256")
