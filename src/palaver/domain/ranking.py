"""Ranking by any word: what a text is worth for a word, and which texts come first (BM25).

A text's terms are its words, and with a tilde before them the stems of words that are not their own
stem: `resetting` is found by `resetting`, and less so by `reset` and `resets`. A posting says which
text has a term and what the term is worth in it: how often it stands there, against the text's
length. The postings of 4,096 neighbouring texts, a part, lie together in one block.
"""

import heapq
import math
import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Final, TypeAlias

from palaver.kit.stems import stem

PART_BITS: Final = 12
POSTING_SIZE: Final = 3  # bytes
WORDS_MAX: Final = 32  # of a query: the rarest count
VISITED_MAX: Final = 15_000  # postings that are looked at one by one
CANDIDATES_MAX: Final = 500  # texts that are asked for commoner words than that
COMMON_MAX: Final = 4  # of those words

_PLACE: Final = (1 << PART_BITS) - 1
_K: Final = 1.2
_B: Final = 0.6
_SHORT: Final = 2_000  # postings that are ranked within a millisecond
_SCALE: Final = 115.0  # of what a byte holds: from 0 to `_K` + 1
_STEM_WEIGHT: Final = 0.7

Block: TypeAlias = tuple[int, bytes]
"""The number of a part, and the postings of one term in it: see `merged`."""


def terms(words: Sequence[str], *, usual_length: int) -> dict[str, int]:
    """Return the terms of a text, each with its worth from 1 to 255."""
    found = Counter(words)
    stems: Counter[str] = Counter()
    for word, count in found.items():
        if (root := stem(word)) != word:
            stems[f"~{root}"] += count
    found.update(stems)
    least = _K * (1 - _B + _B * len(words) / usual_length)
    full = (_K + 1) * _SCALE
    return {
        term: min(255, max(1, round(full * count / (count + least))))
        for term, count in found.items()
    }


def ways(word: str) -> tuple[str, ...]:
    """Return the terms that a word of a query is found by; the first is the word itself."""
    root = stem(word)
    return (word, f"~{root}") if root == word else (word, root, f"~{root}")


def posting(ref: int, worth: int) -> bytes:
    """Return what a block has for a text: its place in the part (two bytes, low first), its worth.

    A block is in the order of places: a later text's posting is put behind it.
    """
    return bytes((ref & 0xFF, ref >> 8 & _PLACE >> 8, worth))


def merged(block: bytes, *, gone: Iterable[int] = (), new: Iterable[tuple[int, int]] = ()) -> bytes:
    """Return a block without the texts in `gone` and with those in `new`, with their worths."""
    known = dict(zip(*_opened(without(block, gone)), strict=True))
    known.update((ref & _PLACE, worth) for ref, worth in new)
    return b"".join([posting(place, known[place]) for place in sorted(known)])


def without(block: bytes, gone: Iterable[int]) -> bytes:
    """Return a block without some texts; those that it does not have are passed over."""
    wanted = sorted(ref & _PLACE for ref in gone)
    if not (wanted and block):
        return block
    places, _ = _opened(block)
    kept = []
    start = 0
    for place in wanted:
        at = bisect_left(places, place, start)
        if at < len(places) and places[at] == place:
            kept.append(block[POSTING_SIZE * start : POSTING_SIZE * at])
            start = at + 1
    kept.append(block[POSTING_SIZE * start :])
    return b"".join(kept)


def joined(block: bytes, more: bytes) -> bytes:
    """Return two blocks as one; where both have a text, `more` says what it is worth.

    Costs next to nothing where all of `more` is later, as what is new is.
    """
    if not block or block[-3] | block[-2] << 8 < more[0] | more[1] << 8:
        return block + more
    return merged(block, new=zip(*_opened(more), strict=True))


class Postings:
    """Blocks of many texts in the making, by part and term."""

    def __init__(self) -> None:
        self.parts: Final[dict[int, dict[str, bytearray]]] = {}

    def add(self, ref: int, terms: Mapping[str, int]) -> None:
        """Put the terms of a text, with their worths, behind those of all texts before it."""
        blocks = self.parts.setdefault(ref >> PART_BITS, {})
        low, high = ref & 0xFF, ref >> 8 & _PLACE >> 8
        for term, worth in terms.items():
            if (block := blocks.get(term)) is None:
                blocks[term] = bytearray((low, high, worth))
            else:
                block += bytes((low, high, worth))


def _opened(block: bytes) -> tuple[tuple[int, ...], bytes]:
    """Return the places in a block, ascending, and their worths."""
    count = len(block) // POSTING_SIZE
    places = bytearray(2 * count)
    places[::2] = block[::POSTING_SIZE]
    places[1::2] = block[1::POSTING_SIZE]
    return struct.unpack(f"<{count}H", places), block[2::POSTING_SIZE]


class Query:
    """What somebody asks for, among the texts of one owner: any word may match.

    The rarest words name the candidates. Once they have named many, a few commoner words help to
    order those. So a word that stands everywhere costs little, and what has nothing but such words
    is found by a question of nothing else.
    """

    def __init__(self, words: Iterable[str], counts: Mapping[str, int], *, texts: int) -> None:
        """Plan by how many of the texts have each term, which is all that is known so far.

        No text can score more than `most`: it would have every word, also those that none has.
        """
        asked = [_Word(word, counts, texts) for word in dict.fromkeys(words)]
        self.most: Final = (_K + 1) * sum(word.weight for word in asked)
        known = [word for word in asked if word.count]
        known.sort(key=lambda word: (-word.weight, word.count))
        self._naming: list[_Word] = []
        self._ordering: list[_Word] = []
        visited = 0
        for word in known[:WORDS_MAX]:
            if self._naming and visited + word.count > VISITED_MAX:
                self._ordering.append(word)
            else:
                self._naming.append(word)
                visited += word.count
        del self._ordering[COMMON_MAX:]
        self.is_short: Final = visited < _SHORT and not self._ordering

    @property
    def terms(self) -> set[str]:
        """Return the terms whose blocks are wanted."""
        wanted = {term for word in self._naming for term in word.weights}
        return wanted | {word.commonest for word in self._ordering}

    def best(
        self,
        blocks: Mapping[str, Sequence[Block]],
        *,
        limit: int,
        candidates: int = CANDIDATES_MAX,
    ) -> list[tuple[int, float]]:
        """Return the best texts with what they score, of equals the newest first."""
        totals: dict[int, float] = {}
        for word in self._naming:
            for ref, score in word.scores(blocks).items():
                totals[ref] = totals.get(ref, 0.0) + score
        if self._ordering and totals:
            totals = dict(heapq.nlargest(candidates, totals.items(), key=itemgetter(1)))
            parts = _by_part(totals)
            for word in self._ordering:
                for ref, score in word.scores_of(parts, blocks):
                    totals[ref] += score
        return heapq.nlargest(limit, totals.items(), key=lambda found: (found[1], found[0]))


class _Word:
    """A word of a query: the terms that stand for it, and what a unit of worth counts in each."""

    __slots__ = ("commonest", "count", "weight", "weights")

    def __init__(self, word: str, counts: Mapping[str, int], texts: int) -> None:
        present = [term for term in ways(word) if term in counts]
        self.count = sum(counts[term] for term in present)
        self.weight = common = _rarity(min(self.count, texts), texts)
        self.weights = dict.fromkeys(present, _STEM_WEIGHT * common / _SCALE)
        if word in self.weights:
            # A rare form of a common word says more than the word, and less than a rare word.
            self.weight = (_rarity(counts[word], texts) + common) / 2
            self.weights[word] = self.weight / _SCALE
        self.commonest = max(present, key=counts.__getitem__, default=word)

    def scores(self, blocks: Mapping[str, Sequence[Block]]) -> dict[int, float]:
        """Return what each text gets for this word."""
        scores: dict[int, float] = {}
        for term, weight in self.weights.items():
            for part, block in blocks.get(term, ()):
                base = part << PART_BITS
                for place, worth in zip(*_opened(block), strict=True):
                    score = weight * worth
                    if score > scores.get(base | place, 0.0):
                        scores[base | place] = score
        return scores

    def scores_of(
        self, candidates: Mapping[int, Sequence[int]], blocks: Mapping[str, Sequence[Block]]
    ) -> Iterator[tuple[int, float]]:
        """Yield what some texts get for this word, by its commonest form: places by parts."""
        weight = self.weights[self.commonest]
        for part, block in blocks.get(self.commonest, ()):
            if wanted := candidates.get(part):
                for ref, worth in _among(part, block, wanted):
                    yield ref, weight * worth


def _rarity(count: int, texts: int) -> float:
    return math.log1p((max(texts, count) - count + 0.5) / (count + 0.5))


def _by_part(refs: Iterable[int]) -> dict[int, list[int]]:
    parts: dict[int, list[int]] = {}
    for ref in sorted(refs):
        parts.setdefault(ref >> PART_BITS, []).append(ref & _PLACE)
    return parts


def _among(part: int, block: bytes, wanted: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield those of the wanted places that a block has, as refs with their worth."""
    places, worths = _opened(block)
    base = part << PART_BITS
    at, end = 0, len(places)
    for place in wanted:
        at = bisect_left(places, place, at)
        if at == end:
            return
        if places[at] == place:
            yield base | place, worths[at]
