"""A model from a folder, in a process of its own: it starts at the first text, and ends when idle.

Queries go before texts that are stored, and a query that nobody waits for any more is not embedded.
"""

import asyncio
import contextlib
import hashlib
import logging
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from palaver.domain.embedders import Embedded
from palaver.domain.embedding import MAX_FRAME_BYTES, Answer, Ask, Load, Ready, Refused, Vectors
from palaver.domain.errors import ErrorKind, ProviderError
from palaver.kit.frames import LENGTH_BYTES, frame
from palaver.kit.tasks import Tasks
from palaver.outbound.embedders.prefixes import Prefixes, prefixes_of

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 600.0
LOAD_SECONDS: Final = 120.0
ASK_SECONDS: Final = 120.0
PIECE_LENGTH: Final = 2_000
"""Code points of stored texts that go at once: a query waits for one piece at most."""

_COMMAND: Final = ("-I", "-X", "utf8", "-m", "palaver.embedding")
_ENVIRONMENT: Final = {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
_HEAD_BYTES: Final = 1 << 20
_decode = msgspec.msgpack.Decoder(Answer).decode


class _Wanted:
    """Texts that somebody waits for."""

    __slots__ = ("found", "is_query", "texts")

    def __init__(self, texts: Sequence[str], *, is_query: bool) -> None:
        self.texts = tuple(texts)
        self.is_query = is_query
        self.found: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()


class _Child:
    """The process, with its model read."""

    def __init__(self, process: asyncio.subprocess.Process, ready: Ready) -> None:
        self.process = process
        self.ready = ready


class FolderEmbedder:
    """The model of one folder. What fails may be asked again: the process starts anew."""

    def __init__(self, folder: Path, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self.folder = folder
        self._idle_seconds = idle_seconds
        self._id = f"local/{folder.name}@{fingerprint(folder)}"
        self._queries: deque[_Wanted] = deque()
        self._texts: deque[_Wanted] = deque()
        self._wake = asyncio.Event()
        self._tasks = Tasks()
        self._is_serving = False
        self._child: _Child | None = None

    @property
    def id(self) -> str:
        """Return the folder's name, with a fingerprint of the model: another has other vectors."""
        return self._id

    @property
    def process_id(self) -> int | None:
        """Return the id of the process, None while there is none."""
        return None if self._child is None else self._child.process.pid

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> Embedded:
        """Return a vector for each text; see the port."""
        vectors: list[bytes] = []
        tokens = 0
        for some in _pieces(texts):
            wanted = _Wanted(some, is_query=is_query)
            (self._queries if is_query else self._texts).append(wanted)
            self._wake.set()
            if not self._is_serving:
                self._is_serving = True
                _ = self._tasks.start(self._serve(), name="embed with a local model")
            found = await wanted.found
            vectors += found.vectors
            tokens += found.tokens
        return Embedded(tuple(vectors), tokens)

    async def close(self) -> None:
        """End the process; whoever waits gets a `ProviderError`."""
        await self._tasks.cancel()

    async def _serve(self) -> None:
        """Embed what is wanted, one piece after the other, until nothing is for a while."""
        try:
            while (wanted := await self._next()) is not None:
                await self._answer(wanted)
        finally:
            self._is_serving = False
            for left in (*self._queries, *self._texts):
                _refuse(left, self._failed("it was ended"))
            self._queries.clear()
            self._texts.clear()
            await self._end()

    async def _next(self) -> _Wanted | None:
        while True:
            for waiting in (self._queries, self._texts):
                while waiting:
                    wanted = waiting.popleft()
                    if not wanted.found.done():
                        return wanted
            self._wake.clear()
            try:
                async with asyncio.timeout(self._idle_seconds):
                    await self._wake.wait()
            except TimeoutError:
                if not self._wake.is_set():
                    return None

    async def _answer(self, wanted: _Wanted) -> None:
        try:
            child = self._child or await self._start()
            prefixes = self._prefixes(child.ready)
            texts = tuple(prefixes.put(text, is_query=wanted.is_query) for text in wanted.texts)
            async with asyncio.timeout(ASK_SECONDS):
                answer = await _exchange(child.process, Ask(texts))
        except ProviderError as error:
            _refuse(wanted, error)
        except (TimeoutError, OSError, EOFError, msgspec.MsgspecError) as error:
            log.warning("The process that embeds broke off: %r", error)
            _refuse(wanted, self._failed("its process broke off", is_passing=True))
            await self._end()
        except asyncio.CancelledError:
            _refuse(wanted, self._failed("it was ended"))
            raise
        else:
            if isinstance(answer, Vectors) and len(answer.vectors) == len(texts):
                if not wanted.found.done():
                    wanted.found.set_result(answer)
            else:
                reason = answer.reason if isinstance(answer, Refused) else "its answer is none"
                _refuse(wanted, self._failed(reason))

    async def _start(self) -> _Child:
        """Start the process, and wait until the model is read. Raises `ProviderError`."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *_COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                answer = await _exchange(process, Load(str(self.folder)))
            if not isinstance(answer, Ready):
                reason = answer.reason if isinstance(answer, Refused) else "its answer is none"
                raise self._failed(reason)
        except BaseException:
            await _kill(process)
            raise
        self._child = _Child(process, answer)
        return self._child

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await _kill(child.process)

    def _prefixes(self, ready: Ready) -> Prefixes:
        """Return what the folder says comes before texts, else what is known of its name."""
        if ready.query_prefix is None and ready.passage_prefix is None:
            return prefixes_of(self.folder.name)
        return Prefixes(ready.query_prefix or "", ready.passage_prefix or "")

    def _failed(self, reason: str, *, is_passing: bool = False) -> ProviderError:
        kind = ErrorKind.PROVIDER_UNREACHABLE if is_passing else ErrorKind.PROVIDER_FAILED
        reason = reason.strip().rstrip(".")
        return ProviderError(f"The model in {self.folder} did not embed: {reason}.", kind=kind)


def fingerprint(folder: Path) -> str:
    """Return eight characters that are others for another model, from what is quickly read."""
    digest = hashlib.sha256()
    names = ("model.onnx", "onnx/model.onnx", "tokenizer.json", "1_Pooling/config.json")
    for path in (folder / name for name in names):
        if path.is_file():
            with path.open("rb") as file:
                digest.update(b"%d %b" % (path.stat().st_size, file.read(_HEAD_BYTES)))
    return digest.hexdigest()[:8]


def _pieces(texts: Sequence[str]) -> Iterator[list[str]]:
    piece: list[str] = []
    for text in texts:
        if piece and sum(map(len, piece)) + len(text) > PIECE_LENGTH:
            yield piece
            piece = []
        piece.append(text)
    if piece:
        yield piece


def _refuse(wanted: _Wanted, error: ProviderError) -> None:
    if not wanted.found.done():
        wanted.found.set_exception(error)


async def _exchange(process: asyncio.subprocess.Process, message: Load | Ask) -> Answer:
    """Send a message and return the answer to it. Raises `OSError`, `EOFError`, `MsgspecError`."""
    if process.stdin is None or process.stdout is None:
        raise OSError("no pipes")
    process.stdin.write(frame(message))
    await process.stdin.drain()
    length = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
    if length > MAX_FRAME_BYTES:
        raise msgspec.DecodeError("too long")
    answer: Answer = _decode(await process.stdout.readexactly(length))
    return answer


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End the process, and wait until nothing of it is left."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    if process.stdout is not None:
        while await process.stdout.read(_HEAD_BYTES):
            pass
    await process.wait()
