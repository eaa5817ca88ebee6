"""PDF: PDFium gives the characters of a page in order, and where the ends of its lines stand.

From the places of lines come paragraphs, headings (set larger than most of the text) and items.
Lines that stand at the top or the bottom of most pages are left out.
"""

import ctypes
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

from palaver.domain.extraction import MAX_TEXT_CODE_POINTS, BlockKind, Extracted, ExtractionError
from palaver.extraction.magic import refuse
from palaver.extraction.writer import TOO_MUCH, Writer

_HEAD_BYTES: Final = 1024
_PAGES_WITH_PICTURES: Final = 20  # how many are looked at for them
_HYPHEN: Final = "\ufffe"
"""What PDFium puts where a line ends in a hyphen, in place of both."""

_PITCH_OF_PARAGRAPH: Final = 1.2
"""A distance between lines, as a share of the usual one, that parts paragraphs."""

_SIZE_OF_HEADING: Final = 1.12
_MAX_HEADING: Final = 200
_SHARE_OF_FULL_LINE: Final = 0.85
_MIN_RUNNING_PAGES: Final = 3
_SHARE_OF_RUNNING: Final = 0.5

_ENDS: Final = re.compile(r"""[.!?:;…。！？؟][")\]”’»」』]?$""")  # noqa: RUF001
_BULLET: Final = re.compile(r"[•‣◦▪●○■□–·*-]\s+\S")  # noqa: RUF001
_NUMBER: Final = re.compile(r"(?:\d{1,3}|[a-z])[.)]\s+\S")
_DIGITS: Final = re.compile(r"\d+")
_WIDE: Final = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff60]")


class _Line(NamedTuple):
    """A line, or several that hyphens join; places in points, upwards from the page's bottom."""

    text: str
    left: float
    right: float
    top: float
    bottom: float
    size: float  # the height of its first letter's font


def read_pdf(content: bytes, on_progress: Callable[[float], None]) -> Extracted:
    """Read a PDF. Raises `ExtractionError`."""
    pdf = _opened(content)
    pages = _read_pages(pdf, on_progress)
    if not any(pages):
        raise ExtractionError(
            "The PDF holds pictures of pages and no text. Recognise its text first (OCR)."
            if _has_pictures(pdf)
            else "The PDF holds no text. Look whether it is the one that you mean."
        )
    writer = Writer()
    starts = []
    levels = _levels(pages)
    for lines in _without_running_lines(pages):
        at = writer.length
        blocks = len(writer.blocks)
        _write(writer, lines, levels)
        # A page begins where its first block does, an empty one where the next does.
        starts.append(writer.blocks[blocks].start if len(writer.blocks) > blocks else at)
    return writer.end(pages=tuple(starts), title=pdf.get_metadata_value("Title"))


def _opened(content: bytes) -> pypdfium2.PdfDocument:
    if b"%PDF-" not in content[:_HEAD_BYTES]:
        raise refuse(content, "a PDF")
    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pdfium.FPDF_ERR_PASSWORD:
            raise ExtractionError(
                "The PDF is protected by a password. Save it without one."
            ) from error
        raise ExtractionError(
            "The PDF is damaged. Open it, and print it into a new one."
        ) from error


def _read_pages(
    pdf: pypdfium2.PdfDocument, on_progress: Callable[[float], None]
) -> list[list[_Line]]:
    count, length = len(pdf), 0
    pages = []
    for number in range(count):
        lines = _read_page(pdf, number)
        length += sum(len(line.text) for line in lines)
        if length > MAX_TEXT_CODE_POINTS:
            raise ExtractionError(TOO_MUCH)
        pages.append(lines)
        on_progress((number + 1) / count)
    return pages


def _read_page(pdf: pypdfium2.PdfDocument, number: int) -> list[_Line]:
    """Return the lines of a page; none of a page that is damaged."""
    try:
        page = pdf[number]
        letters = page.get_textpage()
    except pypdfium2.PdfiumError:
        return []
    try:
        return _lines_of(letters)
    finally:
        letters.close()
        page.close()


def _lines_of(letters: pypdfium2.PdfTextPage) -> list[_Line]:
    count = letters.count_chars()
    buffer = (ctypes.c_ushort * (count + 1))()
    written = pdfium.FPDFText_GetText(letters, 0, count, buffer)
    text = bytes(buffer)[: 2 * max(written - 1, 0)].decode("utf-16-le", "replace")
    # Letters beyond 16 bits are rare, and shift what is told of the places on their page only.
    lines, at = [], 0
    for whole in text.split("\r\n"):
        stripped = whole.strip()
        if stripped:
            start = at + whole.index(stripped[0])
            first = _box(letters, start)
            last = _box(letters, start + len(stripped) - 1)
            words = stripped.replace(_HYPHEN, "")
            size = first.top - first.bottom
            lines.append(_Line(words, first.left, last.right, first.top, last.bottom, size))
        at += len(whole) + 2
    return lines


def _box(letters: pypdfium2.PdfTextPage, text_index: int) -> pdfium.FS_RECTF:
    box = pdfium.FS_RECTF()
    index = pdfium.FPDFText_GetCharIndexFromTextIndex(letters, text_index)
    pdfium.FPDFText_GetLooseCharBox(letters, max(index, 0), box)
    return box


def _has_pictures(pdf: pypdfium2.PdfDocument) -> bool:
    wanted = (pdfium.FPDF_PAGEOBJ_IMAGE,)
    for number in range(min(len(pdf), _PAGES_WITH_PICTURES)):
        try:
            if next(pdf[number].get_objects(filter=wanted, max_depth=3), None) is not None:
                return True
        except pypdfium2.PdfiumError:
            continue
    return False


def _without_running_lines(pages: Sequence[list[_Line]]) -> Iterable[list[_Line]]:
    """Yield the pages without what repeats at their edges: names of chapters, numbers of pages."""
    edges = [{_pattern(line) for line in (*lines[:1], *lines[-1:])} for lines in pages]
    times = Counter(pattern for patterns in edges for pattern in patterns)
    least = max(_MIN_RUNNING_PAGES, len(pages) * _SHARE_OF_RUNNING)
    running = {pattern for pattern, count in times.items() if count >= least}
    for lines in pages:
        first = 1 if lines and _pattern(lines[0]) in running else 0
        last = len(lines) - 1 if lines[first:] and _pattern(lines[-1]) in running else len(lines)
        yield lines[first:last]


def _pattern(line: _Line) -> tuple[str, int]:
    return _DIGITS.sub("#", line.text), round(line.top / 10)


def _levels(pages: Iterable[list[_Line]]) -> dict[int, int]:
    """Return the level of each size that headings have; most of the text has another."""
    sizes: Counter[int] = Counter()
    for lines in pages:
        for line in lines:
            sizes[round(line.size)] += len(line.text)
    if not sizes:
        return {}
    body = sizes.most_common(1)[0][0]
    larger = sorted((size for size in sizes if size > body * _SIZE_OF_HEADING), reverse=True)
    return {size: min(level, 6) for level, size in enumerate(larger, 1)}


def _write(writer: Writer, lines: Sequence[_Line], levels: dict[int, int]) -> None:
    pitch = _pitch(lines)
    width = max((line.right for line in lines), default=0.0)
    block: list[_Line] = []
    for line in lines:
        if block and _parts(block, line, pitch=pitch, width=width):
            _add(writer, block, levels, width)
            block = []
        block.append(line)
    if block:
        _add(writer, block, levels, width)


def _pitch(lines: Sequence[_Line]) -> float:
    """Return how far lines of a paragraph stand apart."""
    steps = [above.bottom - line.bottom for above, line in pairwise(lines)]
    usual = [step for step, line in zip(steps, lines, strict=False) if 0 < step < 2 * line.size]
    return median(usual) if usual else 0.0


def _parts(block: Sequence[_Line], line: _Line, *, pitch: float, width: float) -> bool:
    """Tell whether a line begins another paragraph than the lines before it are of."""
    above = block[-1]
    step = above.bottom - (line.top - line.size)
    if abs(above.size - line.size) > 0.1 * above.size:
        return True
    is_ended = _ENDS.search(above.text[-3:]) is not None
    if _BULLET.match(line.text) or (_NUMBER.match(line.text) and (is_ended or _is_item(block))):
        return True
    if step < 0:  # the next column
        return is_ended and _is_short(above, width)
    return step > pitch * _PITCH_OF_PARAGRAPH or (is_ended and _is_short(above, width))


def _is_item(block: Sequence[_Line]) -> bool:
    return bool(_BULLET.match(block[0].text) or _NUMBER.match(block[0].text))


def _is_short(line: _Line, width: float) -> bool:
    return line.right < width * _SHARE_OF_FULL_LINE


def _add(writer: Writer, block: Sequence[_Line], levels: dict[int, int], width: float) -> None:
    text = block[0].text
    for above, line in pairwise(block):
        # A line that ends early was meant to: a row, a verse, code.
        text += "\n" if _is_short(above, width) else _gap(text, line.text)
        text += line.text
    level = levels.get(round(block[0].size), 0)
    kind: BlockKind = "list" if _is_item(block) else "paragraph"
    if level and len(text) <= _MAX_HEADING:
        writer.add("heading", text, level=level)
    else:
        writer.add(kind, text)


def _gap(before: str, after: str) -> str:
    return "" if _WIDE.match(before[-1:]) and _WIDE.match(after) else " "
