"""What a client keeps beside a thing of its own: any JSON object, given back as it came."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from palaver.domain.checks import Checks
from palaver.domain.errors import Fault

MAX_BYTES: Final = 16 * 1024
_INT64_MAX: Final = 2**63 - 1


def encode_metadata(given: Mapping[str, Any] | None) -> str | None:
    """Return the body's `metadata` as it is stored: JSON text, None for none.

    Raises `InvalidInput` for integers beyond 64 bits, and for more than `MAX_BYTES`.
    """
    checks = Checks()
    stored = take_metadata(checks, given)
    checks.end()
    return stored


def take_metadata(checks: Checks, given: Mapping[str, Any] | None) -> str | None:
    """Do the same, and note what is wrong."""
    if not given:
        return None
    for name in _huge_integers(given, "metadata"):
        checks.blame(name, Fault.TOO_LARGE, "This integer has more than 64 bits.", limit=_INT64_MAX)
    stored = msgspec.json.encode(given)
    if len(stored) > MAX_BYTES:
        message = f"Use at most {MAX_BYTES} bytes of JSON."
        checks.blame("metadata", Fault.TOO_LONG, message, limit=MAX_BYTES)
    return stored.decode()


def _huge_integers(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, int):
        if not -_INT64_MAX - 1 <= value <= _INT64_MAX:
            yield name
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _huge_integers(item, f"{name}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _huge_integers(item, f"{name}.{index}")
