"""Cutting a document along its structure into chunks that retrieval finds and a model reads.

A chunk keeps paragraphs, items, code and tables whole as far as they fit, and sentences where they
do not. No overlap: whoever wants more of the document fetches the neighbours.
"""

# ruff: noqa: RUF001  # the marks of all scripts end sentences, not those of ASCII alone

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from palaver.domain.documents import Chunk
from palaver.domain.extraction import Block, BlockKind, Extracted, Span
from palaver.domain.tokens import estimate_tokens

AIM_TOKENS: Final = 320
"""What a chunk has when its section is long: some 1,300 code points of English, 300 of Chinese."""

MAX_TOKENS: Final = 400
_CODE_POINTS_PER_TOKEN: Final = 5
"""Spaces cost no tokens, but a chunk of nothing else would have no end."""

_MAX_CODE_POINTS: Final = MAX_TOKENS * _CODE_POINTS_PER_TOKEN
_MAX_PATH_CODE_POINTS: Final = 200
_MAX_PATH_DEPTH: Final = 6

_SENTENCE_ENDS: Final = re.compile(
    r"""(?<=[.!?…؟۔।])["'”’»)\]]{0,3}(?=\s)"""  # a mark, and what closes around it
    r"""|(?<=[。！？｡])(?![。！？｡」』”’）])"""  # no space follows these
    r"""|(?<=[。！？｡][」』”’）])"""
    r"""|(?=\n\s{0,8}\n)"""
)
_LINE_ENDS: Final = re.compile(r"(?<=\n)")
_WORD_ENDS: Final = re.compile(r"(?<=\S)(?=\s)")
_IN_PROSE: Final = (_SENTENCE_ENDS, _LINE_ENDS, _WORD_ENDS)
_IN_LINES: Final = (_LINE_ENDS, _WORD_ENDS)
_ENDS: Final[dict[BlockKind, tuple[re.Pattern[str], ...]]] = {
    "code": _IN_LINES,
    "table": _IN_LINES,
}
_MARKUP: Final = re.compile(r"#{1,6}(?=\s|$)")


class _Atom(NamedTuple):
    """A stretch that is not cut any more: nothing but whitespace lies between two of them."""

    start: int
    end: int
    size: int  # in tokens
    block: Block


def cut(extracted: Extracted) -> list[Chunk]:
    """Return the chunks of a document: ascending, each exactly a slice of its text.

    Only whitespace lies between two of them. Where the spans have come with the text, this costs
    no more than the slices.
    """
    chunks = []
    for number, span in enumerate(extracted.spans or find_spans(extracted)):
        page, page_starts = _pages_of(span, extracted.pages)
        text = extracted.text[span.start : span.end]
        chunk = Chunk(number, span.start, span.end, page, span.heading, text, page_starts)
        chunks.append(chunk)
    return chunks


def _pages_of(span: Span, pages: tuple[int, ...]) -> tuple[int | None, tuple[int, ...]]:
    """Return the page on which a stretch begins, from 1, and where later ones begin within it."""
    if not pages:
        return None, ()
    page = max(bisect_right(pages, span.start), 1)
    return page, pages[page : bisect_left(pages, span.end, page)]


def find_spans(extracted: Extracted) -> tuple[Span, ...]:
    """Return where the chunks of a text lie. Takes time in proportion to its length."""
    text = extracted.text
    sections = _sections(text, _atoms(text, _cover(text, extracted.blocks)))
    return tuple(span for heading, atoms in sections for span in _pack(heading, atoms))


def _cover(text: str, blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield the blocks, and the stretches between them as paragraphs, without a gap or overlap."""
    at = 0
    for block in blocks:
        start, end = max(block.start, at), min(block.end, len(text))
        if start >= end:
            continue
        if start > at:
            yield Block("paragraph", at, start)
        yield Block(block.kind, start, end, block.level)
        at = end
    if at < len(text):
        yield Block("paragraph", at, len(text))


def _atoms(text: str, blocks: Iterable[Block]) -> Iterator[_Atom]:
    for block in blocks:
        ends = _ENDS.get(block.kind, _IN_PROSE)
        for start, end, size in _split(text, block.start, block.end, ends):
            yield _Atom(start, end, size, block)


def _split(
    text: str, start: int, end: int, ends: Sequence[re.Pattern[str]]
) -> Iterator[tuple[int, int, int]]:
    """Yield what fits into a chunk: all of it, else its sentences, lines, words, characters."""
    start, end = _stripped(text, start, end)
    if start >= end:
        return
    size = _size(text, start, end)
    if size <= MAX_TOKENS:
        yield start, end, size
    elif ends:
        cuts = [start, *(match.end() for match in ends[0].finditer(text, start, end)), end]
        for first, last in pairwise(cuts):
            yield from _split(text, first, last, ends[1:])
    else:
        yield from _even_pieces(text, start, end)


def _even_pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield what has no place to cut at, in steps that fit."""
    step = _MAX_CODE_POINTS
    while start < end:
        middle = _between_characters(text, start, min(start + step, end))
        size = _size(text, start, middle)
        if size > MAX_TOKENS and middle - start > 1:
            step = (middle - start) // 2
            continue
        yield start, middle, size
        start = middle


def _between_characters(text: str, start: int, end: int) -> int:
    """Return the nearest place before `end` that leaves a letter and its marks together."""
    for at in range(end, max(start, end - 8), -1):
        if at == len(text) or not unicodedata.combining(text[at]):
            return at
    return end


def _sections(text: str, atoms: Iterable[_Atom]) -> Iterator[tuple[str | None, list[_Atom]]]:
    """Yield the stretches below one heading each, with its path; headings in a row are one."""
    path: list[tuple[int, str]] = []
    section: list[_Atom] = []
    only_headings = True
    label: str | None = None
    headed: Block | None = None
    for atom in atoms:
        block = atom.block
        is_heading = block.kind == "heading"
        if is_heading and block is not headed:
            headed = block
            if section and not only_headings:
                yield label, section
                section = []
            path = [(level, name) for level, name in path if level < block.level]
            path.append((block.level, _label(text, block)))
            label, only_headings = _path(path), True
        elif not is_heading:
            only_headings = False
        section.append(atom)
    if section:
        yield label, section


def _label(text: str, heading: Block) -> str:
    """Return a heading without its marks, on one line."""
    # A heading that is underlined has its name on the lines before.
    words = text[heading.start : min(heading.end, heading.start + 4 * _MAX_PATH_CODE_POINTS)]
    lines = [line for line in words.splitlines() if line.strip(" =-")]
    name = " ".join(" ".join(lines).split())
    name = _MARKUP.sub("", name, count=1).strip() if name.startswith("#") else name
    return re.sub(r"\s#+$", "", name).strip()


def _path(path: Sequence[tuple[int, str]]) -> str | None:
    names = [name for _, name in path[-_MAX_PATH_DEPTH:] if name]
    whole = " › ".join(names)
    if len(whole) > _MAX_PATH_CODE_POINTS:
        whole = names[-1][:_MAX_PATH_CODE_POINTS]
    return whole.strip() or None


def _pack(heading: str | None, atoms: Sequence[_Atom]) -> Iterator[Span]:
    """Yield chunks of about one size each: none is a small rest."""
    total = sum(atom.size for atom in atoms)
    aim = total / max(1, round(total / AIM_TOKENS))
    number, before = 1, 0  # of this chunk, from 1; what stands before it and in it
    start, end, size = atoms[0].start, atoms[0].end, 0
    for atom in atoms:
        joined = max(size + atom.size, (atom.end - start) // _CODE_POINTS_PER_TOKEN)
        # Nearer to where this chunk should end without it than with it, or too much of it.
        if size and (joined > MAX_TOKENS or before + atom.size / 2 > aim * number):
            yield Span(start, end, heading)
            start, joined, number = atom.start, atom.size, number + 1
        before += atom.size
        end, size = atom.end, joined
    yield Span(start, end, heading)


def _size(text: str, start: int, end: int) -> int:
    if end - start > _MAX_CODE_POINTS:
        return MAX_TOKENS + 1
    return max(estimate_tokens(text[start:end]), (end - start) // _CODE_POINTS_PER_TOKEN)


_NO_SPACE: Final = re.compile(r"\S")


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a stretch without the whitespace around it."""
    found = _NO_SPACE.search(text, start, end)
    if found is None:
        return end, end
    start = found.start()
    while text[end - 1].isspace():
        end -= 1
    return start, end
