"""Sealing: secrets that have to be read again are kept encrypted, under the server's secret key.

A dump of the database alone does not tell them. What need not be read again is hashed instead.
"""

import base64
import binascii
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION: Final = "v1."
_NONCE_BYTES: Final = 12  # NIST SP 800-38D, 8.2.2: random, for fewer than 2**32 texts a key


class Unsealable(Exception):
    """This was sealed under another secret key, for somebody else, or is damaged."""


class Sealer:
    """Seals texts for one purpose: AES-256-GCM, with a key derived by HKDF (RFC 5869).

    `purpose` tells keys apart, so that nothing sealed for one passes for another. `bound_to` names
    the row that a text stands in: moved to another row, it cannot be opened.
    """

    def __init__(self, secret_key: str, purpose: str) -> None:
        info = f"palaver sealing: {purpose}".encode()
        derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=info)
        self._cipher = AESGCM(derive.derive(secret_key.encode()))

    def seal(self, text: str, *, bound_to: str) -> str:
        """Return what is stored in the text's place; another one at every call."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, text.encode(), bound_to.encode())
        return VERSION + base64.urlsafe_b64encode(nonce + sealed).decode()

    def open(self, sealed: str, *, bound_to: str) -> str:
        """Return the text again. Raises `Unsealable`."""
        if not sealed.startswith(VERSION):
            raise Unsealable
        try:
            content = base64.urlsafe_b64decode(sealed.removeprefix(VERSION))
            nonce, rest = content[:_NONCE_BYTES], content[_NONCE_BYTES:]
            return self._cipher.decrypt(nonce, rest, bound_to.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise Unsealable from error
