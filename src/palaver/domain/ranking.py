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

import msgspec

from palaver.kit.stems import stem

PART_BITS: Final = 12
POSTING_SIZE: Final = 3  # bytes
QUERY_WORDS_MAX: Final = 32  # the rarest of them count
VISITED_MAX: Final = 20_000  # postings that are looked at one by one
CANDIDATES_MAX: Final = 1_000  # texts that are asked for commoner words than that
COMMON_MAX: Final = 8  # of those words

_PLACE: Final = (1 << PART_BITS) - 1
_K: Final = 1.2
_B: Final = 0.6
_SCALE: Final = 115.0  # of what a byte holds: from 0 to `_K` + 1
_STEM_WEIGHT: Final = 0.7

Block: TypeAlias = tuple[int, bytes]
"""The number of a part, and the postings of one term in it: see `merged`."""


class Term(msgspec.Struct, frozen=True, gc=False):
    """How many texts have a term, and its blocks."""

    count: int
    blocks: Sequence[Block] = ()


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
    known = dict(zip(*_opened(block), strict=True))
    for ref in gone:
        known.pop(ref & _PLACE, None)
    known.update((ref & _PLACE, worth) for ref, worth in new)
    return b"".join([posting(place, known[place]) for place in sorted(known)])


def _opened(block: bytes) -> tuple[tuple[int, ...], bytes]:
    """Return the places in a block, ascending, and their worths."""
    count = len(block) // POSTING_SIZE
    places = bytearray(2 * count)
    places[::2] = block[::POSTING_SIZE]
    places[1::2] = block[1::POSTING_SIZE]
    return struct.unpack(f"<{count}H", places), block[2::POSTING_SIZE]


class _Word:
    """A word of the query: the terms that stand for it, and what each is worth at most."""

    __slots__ = ("count", "found", "weight")

    def __init__(self, word: str, known: Mapping[str, Term], texts: int) -> None:
        present = [term for term in ways(word) if term in known]
        self.count = sum(known[term].count for term in present)
        common = _rarity(min(self.count, texts), texts)
        self.found = [(known[term].blocks, _STEM_WEIGHT * common / _SCALE) for term in present]
        self.weight = common
        if word in known:
            # A rare form of a common word says more than the word, and less than a rare word.
            own = (_rarity(known[word].count, texts) + common) / 2
            self.found[0] = (known[word].blocks, own / _SCALE)
            self.weight = own

    def scores(self) -> dict[int, float]:
        """Return what each text gets for this word."""
        scores: dict[int, float] = {}
        for blocks, weight in self.found:
            for part, postings in blocks:
                base = part << PART_BITS
                for place, worth in zip(*_opened(postings), strict=True):
                    score = weight * worth
                    if score > scores.get(base | place, 0.0):
                        scores[base | place] = score
        return scores

    def scores_of(self, candidates: Mapping[int, Sequence[int]]) -> dict[int, float]:
        """Return what some texts get for this word: places by their parts."""
        scores: dict[int, float] = {}
        for blocks, weight in self.found:
            for part, postings in blocks:
                if wanted := candidates.get(part):
                    for ref, worth in _among(part, postings, wanted):
                        scores[ref] = max(scores.get(ref, 0.0), weight * worth)
        return scores


def rarest(words: Iterable[str], known: Mapping[str, Term]) -> list[str]:
    """Return the words of a query that anything has, the rarest first, as many as count."""
    counted = [(sum(known[t].count for t in ways(w) if t in known), w) for w in set(words)]
    return [word for count, word in sorted(counted) if count][:QUERY_WORDS_MAX]


def best(
    words: Sequence[str], known: Mapping[str, Term], *, texts: int, limit: int
) -> list[tuple[int, float]]:
    """Return the best of one owner's `texts` by the words of a query, and what each scores.

    Any word may match. The rarest words name the candidates; once they have named many, commoner
    words only help to order those. So a word that stands everywhere costs little, and whatever has
    nothing but such words is found only by a query of nothing else.
    """
    query = sorted((_Word(word, known, texts) for word in words), key=lambda word: -word.weight)
    totals: dict[int, float] = {}
    visited = 0
    common = []
    for word in query:
        if totals and visited + word.count > VISITED_MAX:
            common.append(word)
            continue
        visited += word.count
        for ref, score in word.scores().items():
            totals[ref] = totals.get(ref, 0.0) + score
    if common:
        totals = dict(heapq.nlargest(CANDIDATES_MAX, totals.items(), key=itemgetter(1)))
        candidates = _by_part(totals)
        for word in common[:COMMON_MAX]:
            for ref, score in word.scores_of(candidates).items():
                totals[ref] += score
    # Of equals the newest first.
    return heapq.nlargest(limit, totals.items(), key=lambda found: (found[1], found[0]))


def _rarity(count: int, texts: int) -> float:
    return math.log1p((max(texts, count) - count + 0.5) / (count + 0.5))


def _by_part(refs: Iterable[int]) -> dict[int, list[int]]:
    parts: dict[int, list[int]] = {}
    for ref in sorted(refs):
        parts.setdefault(ref >> PART_BITS, []).append(ref & _PLACE)
    return parts


def _among(part: int, postings: bytes, wanted: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield those of the wanted places that a block has, as refs with their worth."""
    places, worths = _opened(postings)
    base = part << PART_BITS
    at, end = 0, len(places)
    for place in wanted:
        at = bisect_left(places, place, at)
        if at == end:
            return
        if places[at] == place:
            yield base | place, worths[at]
