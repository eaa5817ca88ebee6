"""Throttling of failed sign-ins: one count behind every way in (decisions, "Throttling").

An attempt is counted before the password is hashed and given back when it was right, so attempts
in parallel cannot pass a limit together.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec

from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.throttling import Gate, Slots, counted, given_back, network, wait
from palaver.domain.users import Client, User
from palaver.kit.clock import DAY, SECOND
from palaver.services.tokens import fingerprint
from palaver.storage.origins import ADDRESS, DEVICE
from palaver.storage.tx import Tx

WIDER: Final = 10
"""How many times the limit of a pair an address, or an account, may fail altogether."""

KNOWN_FOR: Final = 30 * DAY


class Attempt(msgspec.Struct, frozen=True):
    """One try to get in, while it is counted as a failure."""

    gates: Sequence[Gate]  # sorted by key: who locks several does so in one order
    at: int


class Throttle:
    """Decides whether somebody may try once more."""

    def __init__(self, *, attempts_per_minute: int) -> None:
        self.attempts_per_minute = attempts_per_minute

    async def prepare(
        self, tx: Tx, client: Client, user: User | None, account: str, *, at: int
    ) -> Attempt:
        """Return the attempt on an account, or on what somebody typed as its name.

        Only reads. Raises `DomainError` (`LOGIN_THROTTLED`) when it is too early for it.
        """
        if not self.attempts_per_minute:
            return Attempt((), at)
        known = await known_origins(tx, client, user, at=at) if user else frozenset[str]()
        name = f"user {user.id}" if user else f"name {account}"
        attempt = Attempt(self._gates(name, client, known), at)
        await self._check(tx, attempt)
        return attempt

    async def prepare_alone(self, tx: Tx, client: Client, purpose: str, *, at: int) -> Attempt:
        """Return an attempt on what is no account, counted per address. Raises as `prepare`."""
        if not self.attempts_per_minute:
            return Attempt((), at)
        key = _key("pair", f"purpose {purpose}", network(client.address))
        attempt = Attempt((Gate(key, self.attempts_per_minute),), at)
        await self._check(tx, attempt)
        return attempt

    async def count(self, tx: Tx, attempt: Attempt) -> None:
        """Count the attempt as a failure. Raises `DomainError` (`LOGIN_THROTTLED`)."""
        at = attempt.at
        rows = [(gate, await tx.failures.lock(gate.key, at=at)) for gate in attempt.gates]
        _refuse_early(rows, at=at)
        for gate, slots in rows:
            await tx.failures.save(gate.key, counted(slots, at=at))

    async def give_back(self, tx: Tx, attempt: Attempt) -> None:
        """Take the attempt off the counts again: it was none of the failures."""
        at = attempt.at
        for gate in attempt.gates:
            slots = await tx.failures.lock(gate.key, at=at)
            await tx.failures.save(gate.key, given_back(slots, at=at))

    async def _check(self, tx: Tx, attempt: Attempt) -> None:
        rows = [(gate, await tx.failures.find(gate.key)) for gate in attempt.gates]
        _refuse_early(rows, at=attempt.at)

    def _gates(self, account: str, client: Client, known: frozenset[str]) -> list[Gate]:
        limit = self.attempts_per_minute
        address = network(client.address)
        if DEVICE in known:
            # Others cannot have its cookie: so nothing that they do is counted here.
            return [Gate(_key("device", account, client.device), limit)]
        if ADDRESS in known:
            # What others do elsewhere, or here to other accounts, does not lock its people out.
            gates = [
                Gate(_key("pair", account, address), limit),
                Gate(_key("address", address), None),
            ]
        else:
            gates = [
                Gate(_key("pair", account, address), limit),
                Gate(_key("address", address), limit * WIDER),
                Gate(_key("account", account), limit * WIDER),
            ]
        return sorted(gates, key=lambda gate: gate.key)


async def known_origins(tx: Tx, client: Client, user: User, *, at: int) -> frozenset[str]:
    """Return which of `DEVICE` and `ADDRESS` this user has signed in from, within 30 days."""
    return await tx.origins.known(
        user.id,
        device_hash=fingerprint(client.device),
        network=network(client.address),
        since=at - KNOWN_FOR,
    )


def _refuse_early(rows: list[tuple[Gate, Slots]], *, at: int) -> None:
    longest = max(
        (wait(slots, gate.limit, at=at) for gate, slots in rows if gate.limit is not None),
        default=0,
    )
    if longest > 0:
        raise DomainError(
            "Too many failed attempts to sign in. Try again later.",
            kind=ErrorKind.LOGIN_THROTTLED,
            retry_after_seconds=-(-longest // SECOND),
        )


def _key(*parts: str) -> str:
    # Of fixed length, and no list of who tried what.
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:32]
