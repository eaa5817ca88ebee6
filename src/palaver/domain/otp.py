"""One-time codes by the clock (RFC 6238), and the recovery codes that stand in for them.

SHA-1, six digits, steps of 30 seconds: what every authenticator app takes for granted.
"""

import base64
import hmac
import secrets
import struct
from typing import Final
from urllib.parse import quote, urlencode

from palaver.domain.errors import DomainError, ErrorKind
from palaver.kit.clock import SECOND

DIGITS: Final = 6
PERIOD_SECONDS: Final = 30
SKEW: Final = 1
"""How many steps a clock may be ahead or behind (RFC 6238, 5.2)."""
SECRET_BYTES: Final = 20
"""As many as SHA-1 gives (RFC 4226, 4, R6)."""

FREE_FAILURES: Final = 10
"""So many wrong codes in a row cost nothing but their place in the throttle."""
BLOCKED_SECONDS: Final = 30
BLOCKED_SECONDS_MAX: Final = 3600

RECOVERY_CODES: Final = 10
_RECOVERY_LENGTH: Final = 16  # of 32 letters and digits: 80 bits
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_GIVEN_MAX_LENGTH: Final = 64


class OneTimeCodeRefused(DomainError):
    """The password was right, the one-time code is missing or wrong."""

    kind = ErrorKind.INVALID_CREDENTIALS

    def __init__(self, *, is_missing: bool = False) -> None:
        super().__init__(
            "A one-time code is required: send it as `otp`."
            if is_missing
            else "The one-time code (`otp`) is wrong, or was used already."
        )
        self.is_missing = is_missing


def new_secret() -> str:
    """Return a secret as authenticator apps take it, in base 32."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def code_of(secret: str, step: int) -> str:
    """Return the code of one step since the epoch (RFC 4226, 5.3)."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), "sha1")
    (number,) = struct.unpack_from(">I", digest, digest[-1] & 0xF)
    return f"{(number & 0x7FFF_FFFF) % 10**DIGITS:0{DIGITS}d}"


def step_at(at: int) -> int:
    """Return the number of the step that an instant lies in."""
    return at // (PERIOD_SECONDS * SECOND)


def matching_step(secret: str, code: str, *, at: int, after: int) -> int | None:
    """Return the step that has this code: about now, and after the last one that was used."""
    now = step_at(at)
    steps = range(max(now - SKEW, after + 1), now + SKEW + 1)
    # All are compared, in constant time each: how long it takes tells nothing.
    found = [step for step in steps if hmac.compare_digest(code_of(secret, step), code)]
    return found[0] if found else None


def blocked_seconds(failures: int) -> int:
    """Return how long no further code is looked at after so many wrong ones in a row.

    Whoever knows the password and has many addresses has a million codes to try, of which three
    are right at any time: at one an hour that is a matter of decades.
    """
    if failures < FREE_FAILURES:
        return 0
    doublings = min(failures - FREE_FAILURES, BLOCKED_SECONDS_MAX.bit_length())
    return min(BLOCKED_SECONDS << doublings, BLOCKED_SECONDS_MAX)


def otpauth_uri(secret: str, *, account: str, issuer: str = "Palaver") -> str:
    """Return what an authenticator app reads from a QR code."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    parameters = {
        "secret": secret,
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": DIGITS,
        "period": PERIOD_SECONDS,
    }
    return f"otpauth://totp/{label}?{urlencode(parameters)}"


def new_recovery_code() -> str:
    """Return a code to write down: `abcd-efgh-2345-mnop`."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_RECOVERY_LENGTH))
    return "-".join(letters[i : i + 4] for i in range(0, _RECOVERY_LENGTH, 4))


def given_digits(given: str) -> str | None:
    """Return the digits that somebody typed, however they spaced them; None where they are none."""
    text = given[:_GIVEN_MAX_LENGTH].replace(" ", "").replace("-", "")
    return text if len(text) == DIGITS and text.isascii() and text.isdigit() else None


def given_recovery_code(given: str) -> str | None:
    """Return a recovery code as it was made; None where it can be none."""
    text = given[:_GIVEN_MAX_LENGTH].lower().replace(" ", "").replace("-", "")
    if len(text) != _RECOVERY_LENGTH or text.strip(_ALPHABET):
        return None
    return "-".join(text[i : i + 4] for i in range(0, _RECOVERY_LENGTH, 4))
