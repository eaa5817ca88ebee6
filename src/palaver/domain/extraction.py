"""The port to whatever turns files into text, and pictures into clean ones: apart from the server.

A file from outside is hostile until the contrary is shown; whoever implements these bounds the
time and the memory that one file may take.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from palaver.domain.errors import DomainError, ErrorKind

MAX_TEXT_CODE_POINTS: Final = 20_000_000
"""As much text as 40 thick books have; a file of 32 MiB seldom has more."""

MAX_SIDE: Final = 2048
"""Longer sides cost time and tokens, and no more is seen: larger pictures are scaled to 2,048
points before a model looks at them. Source: OpenAI, "Images and vision", "Calculating costs"; other
vendors' models look at about as many.
"""

BlockKind: TypeAlias = Literal["heading", "paragraph", "list", "code", "table", "quote"]


class Block(msgspec.Struct, frozen=True, gc=False):
    """A piece of a document's structure: `[start, end)` of its text, in code points.

    A list is as many blocks as it has items.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0  # of a heading, from 1


class Span(msgspec.Struct, frozen=True, gc=False):
    """Where a chunk lies in a text: `[start, end)`, in code points."""

    start: int
    end: int
    heading: str | None = None  # the path of headings above it


class Extracted(msgspec.Struct, frozen=True):
    """A document as text; blocks, the starts of its pages and the spans of its chunks in order."""

    text: str
    blocks: tuple[Block, ...]
    pages: tuple[int, ...] = ()  # where each page begins; none where there are no pages
    title: str | None = None  # what the file calls itself
    spans: tuple[Span, ...] = ()  # cut where it was read; none = not cut yet


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
        self,
        source: Path | bytes,
        mime_type: str,
        *,
        on_progress: Callable[[float], None] | None = None,
    ) -> Extracted:
        """Return a file's text, cut; progress goes from 0 to 1. Raises `ExtractionError`.

        `mime_type` may carry a charset. What keeps it from starting (`OSError`) is no fault of
        the file: try again later.
        """

    async def clean_image(self, content: bytes, *, max_side: int = MAX_SIDE) -> CleanImage:
        """Return a PNG, JPEG, WebP or GIF without metadata, no side longer than `max_side` points.

        Raises `ExtractionError`, and `OSError` as `extract` does.
        """

    async def close(self) -> None:
        """End what runs."""
