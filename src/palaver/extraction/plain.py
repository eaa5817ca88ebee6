"""Plain text: it stays as it is; a paragraph is what stands between blank lines."""

from collections.abc import Iterator

from palaver.domain.extraction import MAX_TEXT_CODE_POINTS, Block, Extracted, ExtractionError
from palaver.extraction.encodings import decode
from palaver.extraction.magic import kind_of, refuse
from palaver.extraction.writer import MAX_BLOCKS, NOTHING, TOO_MANY, TOO_MUCH


def read_plain(content: bytes, *, charset: str | None = None) -> Extracted:
    """Read a text with no marks of its own. Raises `ExtractionError`."""
    text = decoded(content, charset)
    blocks = []
    start = end = -1
    for at, line in lines_of(text):
        if line.strip():
            start = at if start < 0 else start
            end = at + len(line)
        elif start >= 0:
            blocks.append(Block("paragraph", start, end))
            start = -1
    if start >= 0:
        blocks.append(Block("paragraph", start, end))
    return whole(text, blocks)


def decoded(content: bytes, charset: str | None) -> str:
    """Return the text of a file that is nothing else. Raises `ExtractionError`."""
    if kind_of(content):
        raise refuse(content, "text")
    text = decode(content, charset)
    if len(text) > MAX_TEXT_CODE_POINTS:
        raise ExtractionError(TOO_MUCH)
    return text


def whole(text: str, blocks: list[Block], *, title: str | None = None) -> Extracted:
    """Return a text that stays as it is. Raises `ExtractionError`."""
    if not blocks:
        raise ExtractionError(NOTHING)
    if len(blocks) > MAX_BLOCKS:
        raise ExtractionError(TOO_MANY)
    return Extracted(text, tuple(blocks), title=title)


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield where each line begins, and the line without its end."""
    at = 0
    for line in text.split("\n"):
        yield at, line
        at += len(line) + 1
