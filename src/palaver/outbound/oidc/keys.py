"""The public keys of a provider, which it changes from time to time, and the tokens they sign."""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from palaver.kit.clock import HOUR, SECOND, Clock
from palaver.outbound.oidc.client import Client

Key: TypeAlias = RSAKey | ECKey | OKPKey
KeyType: TypeAlias = Literal["RSA", "EC", "OKP"]

# No `none`, and nothing that is signed with a secret: who could check it could sign it as well.
ALGORITHMS: Final[Mapping[str, KeyType]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    **dict.fromkeys(("EdDSA", "Ed25519"), "OKP"),
}
"""The signatures that are believed, with the kind of key that each takes."""

KINDS: Final[Mapping[str, type[Key]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
FRESH_FOR: Final = HOUR
"""A key that was withdrawn is not believed for longer."""
PAUSE: Final = 30 * SECOND
"""Between two fetches for keys that we do not know: anybody could name one."""
RSA_MIN_BITS: Final = 2048
MAX_KEYS: Final = 100
MAX_TRIES: Final = 8


class Header(msgspec.Struct, frozen=True):
    """The protected header of a token, as far as it chooses the key."""

    alg: str
    kid: str | None = None


class KeySet(msgspec.Struct, frozen=True):
    """The body at `jwks_uri` (RFC 7517, 5)."""

    keys: list[dict[str, Any]]


class KeyRing:
    """Verifies signatures; fetches the keys when it must, and seldom."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._keys: list[dict[str, Any]] = []
        self._url = ""
        self._fetched_at: int | None = None

    async def fetch(self, url: str) -> None:
        """Get the keys anew. Raises `ProviderError`."""
        found = await self._client.get(url, KeySet)
        self._keys = found.keys[:MAX_KEYS]
        self._url = url
        self._fetched_at = self._clock()

    async def payload(self, token: str, header: Header, url: str) -> bytes | None:
        """Return what a token says if a key of the provider signed it, else None.

        Raises `ProviderError` when the keys cannot be had.
        """
        if self._is_older_than(FRESH_FOR, url):
            await self.fetch(url)
            return self._verified(token, header)
        payload = self._verified(token, header)
        if payload is None and self._is_older_than(PAUSE, url):
            # Keys rotate: this may be a new one, or a new one under an old name.
            await self.fetch(url)
            payload = self._verified(token, header)
        return payload

    def _is_older_than(self, age: int, url: str) -> bool:
        at = self._fetched_at
        return at is None or url != self._url or self._clock() - at >= age

    def _verified(self, token: str, header: Header) -> bytes | None:
        tries = 0
        for key in self._candidates(header):
            if (tries := tries + 1) > MAX_TRIES:
                break
            try:
                with warnings.catch_warnings():
                    # That RFC 9864 has a better name for EdDSA.
                    warnings.simplefilter("ignore", SecurityWarning)
                    return jws.deserialize_compact(token, key, algorithms=[header.alg]).payload
            except (JoseError, ValueError):
                continue
        return None

    def _candidates(self, header: Header) -> Iterator[Key]:
        wanted = ALGORITHMS[header.alg]
        for given in self._keys:
            if (
                given.get("kty") != wanted
                or given.get("use", "sig") != "sig"
                or given.get("alg", header.alg) != header.alg
                or (header.kid is not None and given.get("kid", header.kid) != header.kid)
            ):
                continue
            if (key := _public_key(given, KINDS[wanted])) is not None:
                yield key


def _public_key(given: dict[str, Any], kind: type[Key]) -> Key | None:
    """Read a key; a part that is none, or that is too weak, takes nothing from the others."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)
            key = kind.import_key(given)
            if isinstance(key, RSAKey) and key.public_key.key_size < RSA_MIN_BITS:
                return None
            return key
    except (JoseError, ValueError, TypeError, KeyError):
        return None
