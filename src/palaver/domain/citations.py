"""Citations: which spans of its sources an answer rests on.

An answer cites a source as `[index]`. What it says right before that mark is laid beside the
source's text, and the sentences there that it shares the most words with are what it cites.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from palaver.domain.sources import Citation, Source
from palaver.kit.words import words

QUOTE_MAX_LENGTH: Final = 400  # code points
CITED_MAX: Final = 100
_MARKS_MAX: Final = 50  # of one source: more do not tell more
_SAID_MAX_LENGTH: Final = 2_000  # of what stands before a mark
_WHOLE_SHARE: Final = 0.9  # of its words, for a sentence to have been said
_KEPT_SHARE: Final = 0.5  # of a neighbour's words that were said as well, for it to be cited too

# No index of an array, no link: `names[1]`, `[1](https://…)`. Several may stand together.
_MARKS: Final = re.compile(r"(?<![\w\])])(?:\[\d{1,3}(?:\s*,\s*\d{1,3})*\] ?)+(?!\()")
_NUMBER: Final = re.compile(r"\d+")
_CODE: Final = re.compile(r"^(```|~~~).*?(?:^\1|\Z)|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_SENTENCE: Final = re.compile(
    r"\S(?:.*?)(?:(?<=[.!?…])(?=\s)|(?<=[\u3002\uff01\uff1f\u061f\u0964])|(?=\n)|\Z)", re.DOTALL
)
_PARAGRAPH: Final = re.compile(r"\n\s*\n")


def cite(
    answer: str, sources: Sequence[Source], texts: Mapping[int, str], *, question: str = ""
) -> tuple[Citation, ...]:
    """Return what an answer cites, in the order of the sources' numbers.

    Of sentences that were said alike, the one that has most to do with the question is cited.
    `texts` holds the passages by their index; a source without one is cited by its own quote.
    """
    known = {source.index: source for source in sources}
    asked = set(words(question))
    said: dict[int, list[str]] = {}
    for index, text in _marks(answer):
        if index in known and len(texts_said := said.setdefault(index, [])) < _MARKS_MAX:
            texts_said.append(text)
    return tuple(
        _citation(known[index], " ".join(said[index]), texts.get(index), asked)
        for index in sorted(said)[:CITED_MAX]
    )


def _marks(answer: str) -> Iterator[tuple[int, str]]:
    """Yield each mark of an answer with what is said before it, back to the marks before."""
    code = [match.span() for match in _CODE.finditer(answer)]
    ends = [end for _, end in code]
    begin = 0
    for match in _MARKS.finditer(answer):
        after = bisect_right(ends, match.start())  # the first code that ends behind the mark
        if after < len(code) and code[after][0] <= match.start():
            continue
        before = answer[max(begin, match.start() - _SAID_MAX_LENGTH) : match.start()]
        said = _PARAGRAPH.split(before.rstrip())[-1]
        for index in dict.fromkeys(_NUMBER.findall(match[0])):
            yield int(index), said
        begin = match.end()


def _citation(source: Source, said: str, text: str | None, asked: set[str]) -> Citation:
    if text is None:
        start, end, quote = source.start, source.start + len(source.quote), source.quote
    else:
        first, last = _span(text, set(words(said)), asked)
        start, end, quote = source.start + first, source.start + last, text[first:last]
    return Citation(
        index=source.index,
        kind=source.kind,
        id=source.id,
        title=source.title,
        url=source.url,
        page=source.page_at(start),
        quote=quote,
        start=start,
        end=end,
        score=source.score,
    )


def _span(text: str, said: set[str], asked: set[str]) -> tuple[int, int]:
    """Return the sentence that shares the most words, with neighbours that were said as well."""
    spans = [match.span() for match in _SENTENCE.finditer(text)]
    if not spans:
        return 0, 0
    found = [set(words(text[start:end])) for start, end in spans]
    shares = [len(each & said) / len(each) if each else 0.0 for each in found]
    # One that was said whole is quoted, and of several the question tells which is meant.
    best = max(
        range(len(spans)),
        key=lambda at: (
            shares[at] >= _WHOLE_SHARE and bool(found[at] & asked),
            len(found[at] & asked) if shares[at] >= _WHOLE_SHARE else 0,
            len(found[at] & said),
            len(found[at] & asked),
            -at,
        ),
    )

    def joins(left: int, neighbour: int, length: int) -> bool:
        """Tell whether a neighbour belongs to the quote; `left` stands before the gap to it."""
        gap = text[spans[left][1] : spans[left + 1][0]]
        was_said = shares[neighbour] >= _KEPT_SHARE
        return was_said and length <= QUOTE_MAX_LENGTH and _PARAGRAPH.search(gap) is None

    first = last = best
    while last + 1 < len(spans) and joins(last, last + 1, spans[last + 1][1] - spans[first][0]):
        last += 1
    while first > 0 and joins(first - 1, first - 1, spans[last][1] - spans[first - 1][0]):
        first -= 1
    start, end = spans[first][0], spans[last][1]
    return start, min(end, start + QUOTE_MAX_LENGTH)
