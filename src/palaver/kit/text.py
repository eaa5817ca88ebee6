"""Text as two people compare it, and as every database takes it."""

import re
import unicodedata
from typing import Final

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def fold(text: str) -> str:
    """Return the form in which two texts read the same: NFKC, case-folded (UAX #15)."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def is_storable(text: str) -> bool:
    """Tell whether a text is without U+0000 and halves of surrogate pairs."""
    return (text.isascii() and "\x00" not in text) or _UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    """Put U+FFFD where no database takes what stands; halves that belong together are joined."""
    if is_storable(text):
        return text
    text = text.replace("\x00", REPLACEMENT)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
