"""Passwords: argon2id, off the event loop, at most two at once."""

import asyncio
import base64
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import argon2

R = TypeVar("R")

AT_ONCE: Final = 2
"""How many are hashed at the same time: each takes `memory_kib`, and a processor."""


class Passwords:
    """Hashes passwords, and tells whether one is right.

    The default costs are one of the equally strong settings of the OWASP Password Storage Cheat
    Sheet (46 MiB, one pass): about 55 ms on a processor of 2024.
    """

    def __init__(self, *, memory_kib: int = 47104, passes: int = 1) -> None:
        self._hasher = argon2.PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=1
        )
        # Nobody's: it costs what any other costs, so that time does not tell who has an account.
        filler = (
            base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32)
        )
        self._nobody = "$".join((f"$argon2id$v=19$m={memory_kib},t={passes},p=1", *filler))
        # A pool of its own: a caller that is canceled leaves its thread at work, and it counts.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")

    async def hash(self, password: str) -> str:
        """Return what is stored in the password's place."""
        return await self._run(lambda: self._hasher.hash(_prepared(password)))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Tell whether the password is right; takes as long when there is no hash to compare."""
        return await self._run(lambda: self._matches(password_hash, password))

    def is_outdated(self, password_hash: str) -> bool:
        """Tell whether this hash was made at other costs than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        """Let the threads go once they have finished."""
        self._threads.shutdown(wait=False)

    async def _run(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _matches(self, password_hash: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash or self._nobody, _prepared(password))
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False


def _prepared(password: str) -> bytes:
    # Composed and decomposed letters are typed alike: RFC 8265, "OpaqueString".
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
