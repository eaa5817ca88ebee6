"""Text as two people compare it: without regard to case, width or composition."""

import unicodedata


def fold(text: str) -> str:
    """Return the form in which two texts read the same: NFKC, case-folded (UAX #15)."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
