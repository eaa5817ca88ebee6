"""Markdown: the text stays as it is, its marks tell the blocks.

Only what stands at the beginning of lines is looked at. Source: CommonMark, "Leaf blocks" and
"Container blocks"; GitHub Flavored Markdown, "Tables".
"""

import re
from typing import Final

from palaver.domain.extraction import Block, BlockKind, Extracted
from palaver.extraction.plain import decoded, lines_of, whole
from palaver.extraction.writer import title_of

_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING: Final = re.compile(r" {0,3}(#{1,6})(?:[ \t]|$)")
_UNDERLINE: Final = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_ITEM: Final = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)")
_QUOTE: Final = re.compile(r" {0,3}>")
_INDENTED: Final = re.compile(r"(?: {4}|\t)")
_RULE: Final = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$")
_TABLE_RULE: Final = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_FRONT_MATTER: Final = re.compile(r"---[ \t]*\n[^\n]*:(?=(?:[^\n]*\n){1,200}?---[ \t]*(?:\n|$))")
_MAX_RULE: Final = 2_000  # code points of a line that is looked at as a rule


def read_markdown(content: bytes, *, charset: str | None = None) -> Extracted:
    """Read Markdown. Raises `ExtractionError`."""
    text = decoded(content, charset)
    scan = _Scan(has_front_matter=_FRONT_MATTER.match(text) is not None)
    for at, line in lines_of(text):
        scan.take(at, line)
    scan.close()
    return whole(text, scan.blocks, title=_title(text, scan.blocks))


def _title(text: str, blocks: list[Block]) -> str | None:
    """Return the first heading of the first level."""
    for block in blocks[:50]:
        if block.kind == "heading" and block.level == 1:
            return title_of(text[block.start : block.end].splitlines()[0].strip("# \t"))
    return None


class _Scan:
    """Goes through the lines; at any time one block may be open."""

    def __init__(self, *, has_front_matter: bool) -> None:
        self.blocks: list[Block] = []
        self._kind: BlockKind | None = None
        self._start = 0
        self._end = 0
        self._lines = 0
        self._fence = ""
        self._is_after_blank = True
        self._has_front_matter = has_front_matter

    def take(self, at: int, line: str) -> None:
        """Go on by one line."""
        if self._has_front_matter:
            self._has_front_matter = False
            self._fence = line.rstrip()
            self._open("code", at, line)
        elif self._fence:
            self._end = at + len(line)
            if self._ends_fence(line):
                self._fence = ""
                self.close()
        elif not line.strip():
            # An item goes on after a blank line if what follows is indented.
            if self._kind not in ("list", "code"):
                self.close()
            self._is_after_blank = True
        else:
            self._take_text(at, line)
            self._is_after_blank = False

    def close(self) -> None:
        """End the block that is open."""
        if self._kind is not None:
            self.blocks.append(Block(self._kind, self._start, self._end))
        self._kind = None

    def _take_text(self, at: int, line: str) -> None:
        if fence := _FENCE.match(line):
            self._fence = fence[1]
            self._open("code", at, line)
        elif heading := _HEADING.match(line):
            self._heading(at, at + len(line), len(heading[1]))
        elif self._kind == "paragraph" and (rule := _short(_UNDERLINE, line)):
            self._kind = None
            self._heading(self._start, at + len(line), 1 if rule[1][0] == "=" else 2)
        elif self._kind == "paragraph" and self._lines == 1 and "|" in line and _is_table(line):
            self._kind = "table"
            self._go_on(at, line)
        else:
            self._take_lines(at, line)

    def _take_lines(self, at: int, line: str) -> None:
        kind = self._kind_of(line)
        if kind == "list" and not _ITEM.match(line):
            self._go_on(at, line)
        elif kind is None:
            self.close()
        elif kind != self._kind or kind == "list":
            self._open(kind, at, line)
        else:
            self._go_on(at, line)

    def _kind_of(self, line: str) -> BlockKind | None:
        """Return what a line belongs to, None for a rule between paragraphs."""
        is_indented = _INDENTED.match(line) is not None
        if self._kind == "list":
            is_inside = not self._is_after_blank or line[0] in " \t"
            if is_inside and not (_ITEM.match(line) or _short(_RULE, line)):
                return "list"
        elif is_indented and self._kind in (None, "code"):
            return "code"
        if _short(_RULE, line):
            return None
        if _ITEM.match(line):
            return "list"
        if _QUOTE.match(line):
            return "quote"
        if self._kind in ("quote", "table") and not self._is_after_blank:
            return self._kind  # a lazy line goes on with it
        return "paragraph"

    def _heading(self, start: int, end: int, level: int) -> None:
        self.close()
        self.blocks.append(Block("heading", start, end, level))

    def _open(self, kind: BlockKind, at: int, line: str) -> None:
        self.close()
        self._kind, self._start, self._lines = kind, at, 0
        self._go_on(at, line)

    def _go_on(self, at: int, line: str) -> None:
        self._end = at + len(line)
        self._lines += 1

    def _ends_fence(self, line: str) -> bool:
        mark = line.strip()
        return len(mark) >= len(self._fence) and not mark.strip(self._fence[0])


def _short(pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
    return pattern.match(line) if len(line) <= _MAX_RULE else None


def _is_table(line: str) -> bool:
    return _short(_TABLE_RULE, line) is not None
