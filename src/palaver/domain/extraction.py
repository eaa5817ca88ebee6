"""The port to whatever turns files into text, and pictures into clean ones: apart from the server.

A file from outside is hostile until the contrary is shown; whoever implements these bounds the
time and the memory that one file may take.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import msgspec

from palaver.domain.errors import DomainError, ErrorKind

BlockKind: TypeAlias = Literal["heading", "paragraph", "list", "code", "table", "quote"]


class Block(msgspec.Struct, frozen=True, gc=False):
    """A piece of a document's structure: `[start, end)` of its text, in code points."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0  # of a heading, from 1


class Extracted(msgspec.Struct, frozen=True):
    """A document as text; blocks and the starts of its pages in order."""

    text: str
    blocks: tuple[Block, ...]
    pages: tuple[int, ...] = ()  # where each page begins; none where there are no pages


class CleanImage(msgspec.Struct, frozen=True):
    """A picture that holds nothing but itself, upright."""

    media_type: str
    content: bytes
    width: int
    height: int


class ExtractionError(DomainError):
    """A file cannot be read; the sentence tells its owner why."""

    kind = ErrorKind.INVALID_INPUT


class Extractor(Protocol):
    """Reads files that nobody has looked into."""

    async def extract(
        self, path: Path, mime_type: str, *, on_progress: Callable[[float], None] | None = None
    ) -> Extracted:
        """Return a file's text; progress goes from 0 to 1. Raises `ExtractionError`."""

    async def clean_image(self, content: bytes) -> CleanImage:
        """Return a PNG, JPEG, WebP or GIF without metadata. Raises `ExtractionError`."""

    async def close(self) -> None:
        """End what runs."""
