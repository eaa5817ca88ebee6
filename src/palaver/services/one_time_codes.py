"""One-time codes at the door: whether one is right, and that none is good for two sign-ins."""

import hmac
from typing import Final

from palaver.domain import otp
from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.otp import OneTimeCodeRefused
from palaver.domain.users import User
from palaver.kit.clock import SECOND
from palaver.services.sealing import Sealer, Unsealable
from palaver.storage.second_factors import SecondFactor
from palaver.storage.tx import Tx

PURPOSE: Final = "second factors"


class OneTimeCodes:
    """Tells whether a one-time code is right, and uses it up: each is good for one sign-in."""

    def __init__(self, secret_key: str) -> None:
        self.sealer = Sealer(secret_key, PURPOSE)
        self._key = hmac.digest(secret_key.encode(), b"palaver recovery codes", "sha256")

    async def check(self, tx: Tx, user: User, given: str | None, *, at: int) -> int | str | None:
        """Return what `given` would use up: a step, a recovery code's hash, None where none is due.

        Raises `OneTimeCodeRefused`, `DomainError` (`LOGIN_THROTTLED`) after too many wrong ones.
        """
        if user.second_factor_at is None:
            return None
        if not (given or "").strip():
            raise OneTimeCodeRefused(is_missing=True)
        assert given is not None  # noqa: S101  # it is not blank
        if (code := otp.given_recovery_code(given)) is not None:
            code_hash = self.hash(user.id, code)
            if await tx.second_factors.has_code(user.id, code_hash):
                return code_hash
        elif (digits := otp.given_digits(given)) is not None:
            factor = await tx.second_factors.find(user.id)
            if factor is not None:
                _refuse_blocked(factor, at=at)
                secret = self.open(user.id, factor.secret)
                step = otp.matching_step(secret, digits, at=at, after=factor.last_step)
                if step is not None:
                    return step
        raise OneTimeCodeRefused

    async def use(self, tx: Tx, user: User, given: str | None, *, at: int) -> bool:
        """Use a code up, for a user whose row is held; tell whether it was a recovery code.

        Raises `OneTimeCodeRefused`: of two that send one code at once, one is refused.
        """
        proof = await self.check(tx, user, given, at=at)
        if proof is None:
            return False
        if isinstance(proof, int):
            is_first = await tx.second_factors.use_step(user.id, proof)
        else:
            is_first = await tx.second_factors.use_code(user.id, proof)
        if not is_first:
            raise OneTimeCodeRefused
        await tx.second_factors.set_failures(user.id, 0, blocked_until=0)
        return isinstance(proof, str)

    async def note_wrong(self, tx: Tx, user: User, given: str | None, *, at: int) -> None:
        """Count a wrong code of the app: many in a row make the next ones wait.

        Nobody locks others out by this: it takes their password to come so far. Recovery codes
        do not wait, and are not counted: they cannot be guessed.
        """
        if otp.given_digits(given or "") is None:
            return
        user = await tx.users.lock(user.id)
        factor = await tx.second_factors.find(user.id)
        if factor is None or factor.blocked_until > at:
            return
        failures = factor.failures + 1
        until = at + otp.blocked_seconds(failures) * SECOND
        await tx.second_factors.set_failures(user.id, failures, blocked_until=until)

    def hash(self, user_id: int, code: str) -> str:
        """Return what is stored of a recovery code: without the secret key nobody can try some."""
        return hmac.digest(self._key, f"{user_id} {code}".encode(), "sha256").hex()

    def seal(self, user_id: int, secret: str) -> str:
        """Return what is stored of an app's secret."""
        return self.sealer.seal(secret, bound_to=f"user {user_id}")

    def open(self, user_id: int, sealed: str) -> str:
        """Return an app's secret. Raises `DomainError` where the server's secret key is another."""
        try:
            return self.sealer.open(sealed, bound_to=f"user {user_id}")
        except Unsealable:
            message = "This second factor was set up under another secret key of the server."
            raise DomainError(message, kind=ErrorKind.FORBIDDEN) from None


def _refuse_blocked(factor: SecondFactor, *, at: int) -> None:
    if factor.blocked_until > at:
        raise DomainError(
            "Too many wrong one-time codes. Try again later, or use a recovery code.",
            kind=ErrorKind.LOGIN_THROTTLED,
            retry_after_seconds=-(-(factor.blocked_until - at) // SECOND),
        )
