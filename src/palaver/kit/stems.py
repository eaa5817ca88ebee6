"""Stems: what is left of a word when its endings are taken away, in any language.

No dictionary and no language is known. A stem is only ever a second way to find a word, and counts
less than the word itself; so it may be crude, but must be the same for a text and a query.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

STEM_LENGTH: Final = 5
"""Letters that are kept. Four to six serve European languages about as well as stemmers do."""

_LEAST: Final = 3  # letters that an ending must leave
_LATIN: Final = re.compile("[a-z\u00df-\u02af]+")
_ENDINGS: Final = ("ings", "edly", "ing", "ies", "ers", "ed", "es", "er", "en", "em", "ly",
                   "s", "e", "y", "n", "a", "o", "i")  # fmt: skip
_DOUBLED: Final = re.compile(r"([bdgmnprt])\1$")
_ARABIC: Final = re.compile("[\u0621-\u064a\u0671-\u06d3]+")
_ARABIC_BEFORE: Final = re.compile("^(?:[وفبك]?ال|لل|و)(?=.{3})")
_ARABIC_AFTER: Final = re.compile("(?<=.{3})(?:ها|ان|ات|ون|ين|يه|ية|ه|ة|ي)$")  # noqa: RUF001  # Arabic
_CUT: Final = re.compile("[\u0370-\u058f\u0900-\u0dff\u10a0-\u10ff\u1200-\u137f]+")
_HAN: Final = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]{2}")


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """Return the stem of a word as `kit.words` cuts it; the word itself where it has none.

    Latin letters lose an ending, Arabic the article and an ending, and what is left is cut short.
    Of a pair of Chinese characters the first is left: a word of one may stand in many pairs.
    """
    for letters, reduce in _WAYS:
        if letters.fullmatch(word):
            return reduce(word)
    return word


def _latin(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST:
            word = _DOUBLED.sub(r"\1", word[: -len(ending)])
            break
    return word[:STEM_LENGTH]


def _arabic(word: str) -> str:
    return _ARABIC_AFTER.sub("", _ARABIC_BEFORE.sub("", word))


def _cut(word: str) -> str:
    return word[:STEM_LENGTH]


def _first(word: str) -> str:
    return word[0]


_WAYS: Final[tuple[tuple[re.Pattern[str], Callable[[str], str]], ...]] = (
    (_LATIN, _latin),
    (_ARABIC, _arabic),
    (_HAN, _first),
    (_CUT, _cut),
)
