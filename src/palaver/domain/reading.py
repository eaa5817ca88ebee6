"""What the server and the process that reads a file for it say to one another."""

from typing import Final, Literal, TypeAlias

import msgspec

from palaver.domain.extraction import MAX_SIDE, Block, Span

MAX_FRAME_BYTES: Final = 16 << 20
"""No message is longer: a text comes in pieces, a clean picture in one."""

PIECE_CODE_POINTS: Final = 1 << 18
PIECE_ITEMS: Final = 1 << 13


class Job(msgspec.Struct, frozen=True):
    """One file to read, and what that may take. The file is `content`, or the open file `fd`."""

    task: Literal["text", "image"]
    mime_type: str
    cpu_seconds: int
    memory_bytes: int
    fd: int | None = None
    content: bytes = b""
    max_side: int = MAX_SIDE  # of a picture


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How much has been read, from 0 to 1."""

    share: float


class Piece(msgspec.Struct, frozen=True, tag="piece"):
    """The next piece of what was read: parts of everything, to be put together in order."""

    text: str = ""
    blocks: tuple[Block, ...] = ()
    pages: tuple[int, ...] = ()
    spans: tuple[Span, ...] = ()


class Done(msgspec.Struct, frozen=True, tag="done"):
    """All of the text has come."""

    title: str | None


class Picture(msgspec.Struct, frozen=True, tag="picture"):
    """A clean picture."""

    media_type: str
    content: bytes
    width: int
    height: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The file cannot be read: a sentence for its owner."""

    reason: str


class Tripped(msgspec.Struct, frozen=True, tag="tripped"):
    """The reader has met what it does not know: which error, and where. For the log."""

    error: str


Message: TypeAlias = Progress | Piece | Done | Picture | Refused | Tripped
