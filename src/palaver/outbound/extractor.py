"""Has files read in a process of its own for each, which may not cost more than it is given.

Nothing of a file is looked at here, and nothing that comes back is taken on trust.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

import msgspec

from palaver.domain.extraction import (
    MAX_SIDE,
    MAX_TEXT_CODE_POINTS,
    Block,
    CleanImage,
    Extracted,
    ExtractionError,
    Extractor,
    Span,
)
from palaver.domain.reading import (
    MAX_FRAME_BYTES,
    Done,
    Job,
    Message,
    Picture,
    Piece,
    Progress,
    Refused,
    Tripped,
)
from palaver.kit.frames import LENGTH_BYTES, frame
from palaver.kit.text import is_storable

log = logging.getLogger(__name__)

_MEBIBYTE: Final = 1 << 20
_COMMAND: Final = ("-I", "-X", "utf8", "-m", "palaver.extraction")
_BUFFER_BYTES: Final = 1 << 20
_MAX_ANSWER_BYTES: Final = 256 << 20
_MAX_REASON: Final = 300
_DAMAGED: Final = (
    "The file is damaged, or made to be hard to read. Open it, and save it anew or as text."
)
_CLOSED: Final = "the extractor is closed"
_TOO_LONG: Final = (
    "The file takes too long to be read. Give it in parts, or try again when the server is less "
    "busy."
)
_TANGLED: Final = (
    "The page takes too long to be read: too many of its tags are nested or never closed. Save it "
    "as text or PDF, and give that."
)
_REASONS: Final = {-signal.SIGXCPU: _TOO_LONG, -signal.SIGVTALRM: _TANGLED}
"""What the signals mean that end a process of itself."""


class Limits(msgspec.Struct, frozen=True):
    """What one file may take."""

    memory_bytes: int = 1 << 30  # of addresses; a reader that has read nothing takes 60 MiB
    cpu_seconds: int = 5
    cpu_seconds_per_mebibyte: int = 2
    wall_seconds: int = 8  # of a small one: somebody else's waits for it
    wall_factor: int = 10  # of a large one: its process is a nice one, and waits for others
    files_at_once: int = 2  # besides one large one
    large_bytes: int = _MEBIBYTE  # large files wait for each other, never small ones for them

    def cpu_of(self, size_bytes: int) -> int:
        """Return how long a processor may be busy with a file of a size."""
        return self.cpu_seconds + self.cpu_seconds_per_mebibyte * (size_bytes // _MEBIBYTE)

    def wall_of(self, size_bytes: int) -> int:
        """Return how long a file of a size may take, whatever else the machine does."""
        if size_bytes <= self.large_bytes:
            return self.wall_seconds
        return self.cpu_of(size_bytes) * self.wall_factor


def build(limits: Limits | None = None) -> "ChildExtractor":
    """Return what reads files; it starts nothing before the first."""
    return ChildExtractor(limits or Limits())


class ChildExtractor(Extractor):
    """The port to extraction: one process for each file."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._small = asyncio.Semaphore(limits.files_at_once)
        self._large = asyncio.Semaphore(1)
        self._running: set[asyncio.subprocess.Process] = set()
        self._is_closed = False

    async def extract(
        self,
        source: Path | bytes,
        mime_type: str,
        *,
        on_progress: Callable[[float], None] | None = None,
    ) -> Extracted:
        """Return a file's text, cut; progress goes from 0 to 1. Raises `ExtractionError`."""
        gathered = _Gathered(on_progress)
        with _opened(source) as (fd, size):
            job = self._job("text", size, mime_type=mime_type, fd=fd, source=source)
            end = await self._run(job, size, gathered.take)
        if not isinstance(end, Done):
            raise ExtractionError(_DAMAGED)
        return gathered.whole(end.title)

    async def clean_image(self, content: bytes, *, max_side: int = MAX_SIDE) -> CleanImage:
        """Return a PNG, JPEG, WebP or GIF without metadata, no side longer than `max_side` points.

        Raises `ExtractionError`.
        """
        job = self._job("image", len(content), source=content, max_side=max_side)
        picture = await self._run(job, len(content), lambda _: None)
        if not isinstance(picture, Picture):
            raise ExtractionError(_DAMAGED)
        return CleanImage(picture.media_type, picture.content, picture.width, picture.height)

    async def close(self) -> None:
        """End what runs, and start no more: that is an `OSError`, since no file is to blame."""
        self._is_closed = True
        for process in tuple(self._running):
            _kill(process)

    def _job(
        self,
        task: Literal["text", "image"],
        size: int,
        *,
        source: Path | bytes,
        mime_type: str = "",
        fd: int | None = None,
        max_side: int = MAX_SIDE,
    ) -> Job:
        return Job(
            task,
            mime_type,
            cpu_seconds=self._limits.cpu_of(size),
            memory_bytes=self._limits.memory_bytes,
            fd=fd,
            content=source if isinstance(source, bytes) else b"",
            max_side=max_side,
        )

    async def _run(self, job: Job, size: int, take: Callable[[Message], None]) -> Message:
        """Return the last message on a file; `take` gets those before it."""
        async with self._large if size > self._limits.large_bytes else self._small:
            if self._is_closed:
                raise ConnectionAbortedError(_CLOSED)
            process = await _start(job)
            self._running.add(process)
            try:
                async with asyncio.timeout(self._limits.wall_of(size)):
                    await _send(process, job)
                    return await _Answer(process).last(take)
            except TimeoutError as error:
                raise ExtractionError(_TOO_LONG) from error
            except (ExtractionError, ChildProcessError) as error:
                if self._is_closed:
                    raise ConnectionAbortedError(_CLOSED) from error
                raise
            finally:
                self._running.discard(process)
                await _end(process)


class _Gathered:
    """What has been read so far, put together from its pieces."""

    def __init__(self, on_progress: Callable[[float], None] | None) -> None:
        self._on_progress = on_progress
        self._length = 0
        self._text: list[str] = []
        self._blocks: list[Block] = []
        self._pages: list[int] = []
        self._spans: list[Span] = []

    def take(self, message: Message) -> None:
        """Take the next piece, or tell how far it is."""
        if isinstance(message, Progress):
            if self._on_progress is not None:
                self._on_progress(min(max(message.share, 0.0), 1.0))
        elif isinstance(message, Piece):
            self._length += len(message.text)
            if self._length > MAX_TEXT_CODE_POINTS or not is_storable(message.text):
                raise ExtractionError(_DAMAGED)
            self._text.append(message.text)
            self._blocks += message.blocks
            self._pages += message.pages
            self._spans += message.spans

    def whole(self, title: str | None) -> Extracted:
        """Return the document. Raises `ExtractionError` where its parts do not fit together."""
        text = "".join(self._text)
        ends = [0, *(end for span in self._spans for end in (span.start, span.end)), len(text)]
        are_in_order = all(before <= after for before, after in pairwise(ends))
        if not (are_in_order and self._spans and is_storable(title or "")):
            raise ExtractionError(_DAMAGED)
        blocks, pages, spans = tuple(self._blocks), tuple(self._pages), tuple(self._spans)
        return Extracted(text, blocks, pages, title, spans)


async def _start(job: Job) -> asyncio.subprocess.Process:
    # It gets the open file, no environment, and no terminal that a signal could come from.
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *_COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_BUFFER_BYTES,
        env={},
        cwd="/",
        pass_fds=() if job.fd is None else (job.fd,),
        start_new_session=True,
    )


async def _send(process: asyncio.subprocess.Process, job: Job) -> None:
    assert process.stdin is not None  # noqa: S101  # a pipe was asked for
    with contextlib.suppress(ConnectionError):  # why it died, it has told, or its status does
        process.stdin.write(frame(job))
        await process.stdin.drain()
    process.stdin.close()


class _Answer:
    """What one process says. Of what goes wrong before its first word, no file is to blame."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._size = 0
        self._has_begun = False

    async def last(self, take: Callable[[Message], None]) -> Message:
        """Return the message that ends it; `take` gets those before."""
        while True:
            match message := await self._next():
                case Done() | Picture():
                    return message
                case Refused(reason):
                    raise ExtractionError(reason[:_MAX_REASON])
                case Tripped(error):
                    raise self._failure(error)
                case Progress() | Piece():
                    self._has_begun = True
                    take(message)

    async def _next(self) -> Message:
        assert self._process.stdout is not None  # noqa: S101  # a pipe was asked for
        read = self._process.stdout.readexactly
        try:
            length = int.from_bytes(await read(LENGTH_BYTES), "big")
            self._size += length
            if length > MAX_FRAME_BYTES or self._size > _MAX_ANSWER_BYTES:
                raise self._failure("its process says too much")
            message: Message = _decoder.decode(await read(length))
        except msgspec.MsgspecError as error:
            raise self._failure("its process talks nonsense") from error
        except asyncio.IncompleteReadError as error:
            status = await self._process.wait()
            if status in _REASONS:
                raise ExtractionError(_REASONS[status]) from error
            raise self._failure(f"its process ended with status {status}") from error
        return message

    def _failure(self, reason: str) -> Exception:
        if not self._has_begun:
            return ChildProcessError(f"what reads files does not start: {reason[:_MAX_REASON]}")
        log.warning("a file was not read: %s", reason[:_MAX_REASON])
        return ExtractionError(_DAMAGED)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process, and wait until nothing of it is left."""
    _kill(process)
    if process.stdout is not None:
        while await process.stdout.read(_BUFFER_BYTES):
            pass
    await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


@contextlib.contextmanager
def _opened(source: Path | bytes) -> Iterator[tuple[int | None, int]]:
    """Give the open file to read, None for bytes, and its size."""
    if isinstance(source, bytes):
        yield None, len(source)
        return
    fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd, os.fstat(fd).st_size
    finally:
        os.close(fd)


_decoder: Final = msgspec.msgpack.Decoder(Message)
