"""Identifiers: version 7 UUIDs for what a contract shows, secrets for what it must not guess."""

import hashlib
import secrets
import time

UUID_LENGTH = 36


def new_uuid() -> str:
    """Return a version 7 UUID (RFC 9562), so that neighbours in time are neighbours in an index."""
    value = (time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF) << 80 | secrets.randbits(80)
    return _uuid(value, version=7)


def uuid_of(name: str) -> str:
    """Return the version 8 UUID that stands for a name, the same one each time (RFC 9562)."""
    return _uuid(int.from_bytes(hashlib.sha256(name.encode()).digest()[:16]), version=8)


def _uuid(value: int, *, version: int) -> str:
    value = value & ~(0xF << 76) | version << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def parse_uuid(text: str) -> str | None:
    """Return the canonical form of a UUID in its 36-character form, or None if it is none."""
    if len(text) != UUID_LENGTH or not text.isascii():
        return None
    if text[8] != "-" or text[13] != "-" or text[18] != "-" or text[23] != "-":
        return None
    digits = text.replace("-", "")
    if len(digits) != 32 or digits.strip("0123456789abcdefABCDEF"):
        return None
    return text.lower()


def new_request_id() -> str:
    """Return 64 random bits in hexadecimal: who asks for help names it, and the log has it."""
    return f"{secrets.randbits(64):016x}"


def new_secret(*, size_bytes: int = 32) -> str:
    """Return an unguessable text that is safe in URLs and headers."""
    return secrets.token_urlsafe(size_bytes)
