"""Text as words, for search: one tokenizer before every full-text engine.

Words are runs of letters, digits and marks (Unicode), NFKC and case-folded. Marks that writers may
leave out are dropped: accents of Latin and Greek, the points of Arabic and Hebrew; so is tatweel.
Scripts written without spaces (Han, Kana, Hangul, Thai, Lao, Khmer, Burmese) become overlapping
pairs of characters, and the last character of a run alone: then any run of two or more characters
is found as a phrase of pairs, and a single one as the beginning of a word.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, islice, pairwise
from typing import Final

import msgspec

from palaver.kit.text import fold

WORD_MAX_LENGTH: Final = 64
WORDS_MAX: Final = 30_000
PHRASES_MAX: Final = 24
PREFIX_MIN_LENGTH: Final = 2
QUERY_MAX_LENGTH: Final = 1_000

_RANGES: Final = (  # of scripts that are written without spaces
    r"\u0e01-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029"
    r"\u3031-\u3035\u3038-\u303c\u3041-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U0001b000-\U0001b16f"
    r"\U00020000-\U0003ffff"
)
_UNSPACED: Final = re.compile(f"[{_RANGES}]")
_SPACED: Final = re.compile(f"[^ {_RANGES}]*")  # in an image: a word between spaces
_RUN: Final = re.compile(f"[{_RANGES}]+|[^ {_RANGES}]+")
_CHUNK: Final = re.compile(r'["“”„]([^"“”„]*)["“”„]|[^\s"“”„]+')
_LINE: Final = re.compile(r"[^\n]+")

_TATWEEL: Final = "\u0640"
# Who writes these scripts may write the letter with its mark or without it.
_MARKS_OPTIONAL: Final = (
    (0x0041, 0x024F), (0x0370, 0x03FF), (0x0590, 0x06FF), (0x0750, 0x077F), (0x1E00, 0x1FFF),
)  # fmt: skip
_OPTIONAL_MARKS: Final = ((0x0300, 0x036F), (0x0591, 0x05C7), (0x0610, 0x061A), (0x064B, 0x0670),
                          (0x06D6, 0x06ED), (0x08D3, 0x08FF))  # fmt: skip


def _within(character: str, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(first <= ord(character) <= last for first, last in ranges)


class _Table(dict[int, str | None]):
    """What a folded character becomes: itself, its bare letter, a space, or nothing."""

    def __missing__(self, code: int) -> str | None:
        self[code] = image = self._image(chr(code))
        return image

    @staticmethod
    def _image(character: str) -> str | None:
        category = unicodedata.category(character)
        if category[0] not in "LNM":
            # A format character joins or directs letters (ZWNJ, soft hyphen): no border of words.
            return None if category == "Cf" else " "
        if character == _TATWEEL or (category == "Mn" and _within(character, _OPTIONAL_MARKS)):
            return None
        if character == "ё":
            return "е"  # noqa: RUF001  # Russian prints one for the other
        if _within(character, _MARKS_OPTIONAL):
            return unicodedata.normalize("NFD", character)[0]
        return character


_TABLE: Final = _Table()


def _image(text: str) -> str:
    """Return the words of a text between spaces, each character as the index knows it."""
    return fold(text).translate(_TABLE)


def words(text: str) -> list[str]:
    """Return the words of a text in order, at most `WORDS_MAX`."""
    found = _image(text).split()
    if not text.isascii():
        found = list(islice(chain.from_iterable(map(_pieces, found)), WORDS_MAX))
    return [word[:WORD_MAX_LENGTH] for word in found[:WORDS_MAX]]


def _pieces(word: str) -> Sequence[str]:
    """Cut a word that holds unspaced characters: pairs, then the last character alone."""
    if word.isascii() or _UNSPACED.search(word) is None:
        return (word,)
    pieces = []
    for run in _RUN.findall(word):
        if _UNSPACED.match(run):
            pieces += [*_pairs(run), run[-1]]
        else:
            pieces.append(run)
    return pieces


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)]


class Phrase(msgspec.Struct, frozen=True):
    """Words that must stand beside each other; the last may be the beginning of one."""

    words: tuple[str, ...]
    is_prefix: bool = False


class Query:
    """What somebody looks for: every phrase must be there, in any order.

    What stands between spaces is a phrase (`foo-bar`, `don't`), and so is what stands between
    quotation marks. The last word may be unfinished, unless a space or a quotation mark ends it.
    """

    __slots__ = ("_pattern", "_prefix", "_runs", "phrases")

    def __init__(self, text: str) -> None:
        phrases: list[Phrase] = []
        runs: set[str] = set()
        prefix: str | None = None
        for chunk, is_open in _chunks(text[:QUERY_MAX_LENGTH]):
            found = [run[:WORD_MAX_LENGTH] for run in _RUN.findall(_image(chunk))]
            is_prefix = is_open and bool(found) and len(found[-1]) >= PREFIX_MIN_LENGTH
            phrases += _phrases(found, is_prefix=is_prefix)
            runs.update(found)
            if is_prefix:
                prefix = found[-1]
        self.phrases: Final = tuple(dict.fromkeys(phrases))[:PHRASES_MAX]
        self._runs = runs
        self._prefix = prefix
        # The longest first: an alternation takes the first that fits. No borders in it: a class of
        # all those scripts takes milliseconds to compile.
        self._pattern = re.compile("|".join(map(re.escape, sorted(runs, key=len, reverse=True))))

    def __bool__(self) -> bool:
        return bool(self.phrases)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where the words of the query stand in a text: code points, end exclusive."""
        if not self.phrases:
            return
        for line in _LINE.finditer(text):
            yield from self._spans_of_line(line[0], line.start())

    def _spans_of_line(self, line: str, base: int) -> Iterator[tuple[int, int]]:
        folded = line.casefold()
        image = folded.translate(_TABLE)
        is_same_length = len(line) == len(folded) == len(image)
        if is_same_length and _is_normal(line) and _is_normal(folded):
            # Nothing grew and nothing shrank: what stands at n stands at n.
            for start, end in self._found(image):
                yield base + start, base + end
        elif self._pattern.search(_image(line)):
            image, starts, places = _aligned(line)
            for start, end in self._found(image):
                first = bisect_right(starts, start) - 1
                after = bisect_right(starts, end - 1)
                yield base + places[first], base + places[after]

    def _found(self, image: str) -> Iterator[tuple[int, int]]:
        """Yield where the query's words stand in the image of a text."""
        for match in self._pattern.finditer(image):
            start, end = match.span()
            if _UNSPACED.match(image, start):
                yield start, end
                continue
            if start and image[start - 1] != " " and not _UNSPACED.match(image, start - 1):
                continue
            word = _SPACED.match(image, start)
            assert word is not None  # noqa: S101  # it matches anything
            if self._holds(word[0][:WORD_MAX_LENGTH]):
                yield word.span()

    def _holds(self, word: str) -> bool:
        return word in self._runs or (self._prefix is not None and word.startswith(self._prefix))


def _chunks(text: str) -> Iterator[tuple[str, bool]]:
    """Cut a query into what stands together; True where the end may be an unfinished word."""
    for match in _CHUNK.finditer(text):
        if match[1] is not None:
            yield match[1], False
        else:
            yield match[0], match.end() == len(text) and _image(text[-1]) not in {"", " "}


def _phrases(runs: Sequence[str], *, is_prefix: bool) -> Iterator[Phrase]:
    """Join runs into phrases; one ends where the index has a last character alone."""
    words: list[str] = []
    for run in runs:
        if _UNSPACED.match(run) is None:
            words.append(run)
        else:
            yield Phrase((*words, *(_pairs(run) or run)), is_prefix=len(run) == 1)
            words.clear()
    if words:
        yield Phrase(tuple(words), is_prefix=is_prefix)


def _is_normal(text: str) -> bool:
    return text.isascii() or unicodedata.is_normalized("NFKC", text)


def _aligned(line: str) -> tuple[str, list[int], list[int]]:
    """Return the image of a line, made cluster by cluster: a letter and what joins it.

    Each cluster has its place in the image (`starts`) and in the line (`places`, with the end).
    """
    places = [at for at, character in enumerate(line) if at == 0 or not _JOINS[character]]
    images = [_image(line[first:after]) for first, after in pairwise([*places, len(line)])]
    starts = [0, *accumulate(map(len, images))][:-1]
    return "".join(images), starts, [*places, len(line)]


class _Joins(dict[str, bool]):
    """Whether normalisation may join a character to the one before it."""

    def __missing__(self, character: str) -> bool:
        first = unicodedata.normalize("NFKD", character)[0]
        is_jamo = "\u1160" <= first <= "\u11ff"  # vowels and finals of Hangul syllables
        self[character] = joins = is_jamo or unicodedata.category(first)[0] == "M"
        return joins


_JOINS: Final = _Joins()
