"""Putting a document together: one text, and the blocks of which it consists."""

import re
from typing import Final

from palaver.domain.extraction import (
    MAX_TEXT_CODE_POINTS,
    Block,
    BlockKind,
    Extracted,
    ExtractionError,
)

MAX_BLOCKS: Final = 500_000
MAX_TITLE_CODE_POINTS: Final = 200

_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ufeff\ufffe\uffff\ud800-\udfff]")
_NEWLINES: Final = re.compile("\r\n?|[\x0c\x85\u2028\u2029]")

TOO_MUCH: Final = (
    "The file holds more text than can be taken: more than 20 million characters. Give it in parts."
)
TOO_MANY: Final = (
    "The file holds more paragraphs than can be taken: more than 500,000. Give it in parts."
)
NOTHING: Final = "The file holds no text. Look whether it is the one that you mean."


class Writer:
    """Takes blocks in the order of reading."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.length = 0
        self._parts: list[str] = []

    def add(self, kind: BlockKind, text: str, *, level: int = 0) -> None:
        """Put a block at the end, a blank line before it; an item comes right below an item."""
        text = clean(text).strip("\n ") if kind != "code" else clean(text).strip("\n").rstrip()
        if not text or text.isspace():
            return
        if self.blocks:
            is_next_item = kind == "list" == self.blocks[-1].kind
            self._put("\n" if is_next_item else "\n\n")
        start = self.length
        self._put(text)
        self.blocks.append(Block(kind, start, self.length, level))
        if self.length > MAX_TEXT_CODE_POINTS:
            raise ExtractionError(TOO_MUCH)
        if len(self.blocks) > MAX_BLOCKS:
            raise ExtractionError(TOO_MANY)

    def _put(self, text: str) -> None:
        self._parts.append(text)
        self.length += len(text)

    def end(self, *, pages: tuple[int, ...] = (), title: str | None = None) -> Extracted:
        """Return the document. Raises `ExtractionError` where it is empty."""
        if not self.blocks:
            raise ExtractionError(NOTHING)
        return Extracted("".join(self._parts), tuple(self.blocks), pages, title_of(title))


def clean(text: str) -> str:
    """Return a text with one kind of line end, and without what is no character of a text."""
    return _CONTROLS.sub("", _NEWLINES.sub("\n", text))


def title_of(text: str | None) -> str | None:
    """Return a title on one line, None where there is none."""
    return " ".join(clean(text or "").split())[:MAX_TITLE_CODE_POINTS].strip() or None
