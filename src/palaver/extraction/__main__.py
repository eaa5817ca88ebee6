"""One job from the standard input, its messages on the standard output, and the end.

Nothing is caught here that is not understood: what a reader trips over ends the process. The server
logs where it was, and says that the file is damaged.
"""

import os
import resource
import sys
from collections.abc import Callable
from types import TracebackType
from typing import BinaryIO, Final, TypeVar

import msgspec

from palaver.domain.chunks import find_spans
from palaver.domain.extraction import Extracted, ExtractionError
from palaver.domain.reading import (
    PIECE_CODE_POINTS,
    PIECE_ITEMS,
    Done,
    Job,
    Message,
    Piece,
    Progress,
    Refused,
    Tripped,
)
from palaver.extraction.readers import Reader, reader_of
from palaver.kit.frames import frame, read_frame

T = TypeVar("T")

_NICE: Final = 10
_MAX_FILES: Final = 32
_SHARE_OF_READING: Final = 0.8
"""How much of the time reading takes, and cutting the rest."""


def main() -> None:
    """Do the one job."""
    pipe = _private_stdout()
    job = msgspec.msgpack.decode(read_frame(sys.stdin.buffer), type=Job)

    def tell(message: Message) -> None:
        pipe.write(frame(message))
        pipe.flush()

    def report(kind: type[BaseException], _: BaseException, trace: TracebackType | None) -> None:
        tell(Tripped(_described(kind, trace)))

    sys.excepthook = report
    try:
        read = reader_of(job)  # what it imports comes from the disk, so it comes before the limits
        _limit(job)
        tell(Progress(0.0))  # from here on, whatever happens is the file's doing
        _do(job, read, tell)
    except ExtractionError as error:
        tell(Refused(error.message))
    except MemoryError:
        tell(Refused("The file needs too much memory to be read. Give it in parts."))
    except RecursionError:
        tell(Refused("The file is nested too deeply. Save it as text, and give that."))


def _described(kind: type[BaseException], trace: TracebackType | None) -> str:
    """Return the kind of an error and its place; its words may be the file's."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return kind.__name__
    return f"{kind.__name__} at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def _do(job: Job, read: Reader, tell: Callable[[Message], None]) -> None:
    shown = 0.0

    def on_progress(share: float) -> None:
        nonlocal shown
        if share * _SHARE_OF_READING >= shown + 0.01:
            shown = share * _SHARE_OF_READING
            tell(Progress(shown))

    result = read(_content(job), on_progress)
    if not isinstance(result, Extracted):
        tell(result)
        return
    tell(Progress(_SHARE_OF_READING))
    for piece in _pieces(msgspec.structs.replace(result, spans=find_spans(result))):
        tell(piece)
    tell(Done(result.title))


def _pieces(extracted: Extracted) -> list[Piece]:
    text, size = extracted.text, PIECE_CODE_POINTS
    return [
        *(Piece(text=text[at : at + size]) for at in range(0, len(text), size)),
        *(Piece(blocks=part) for part in _parts(extracted.blocks)),
        *(Piece(pages=part) for part in _parts(extracted.pages)),
        *(Piece(spans=part) for part in _parts(extracted.spans)),
    ]


def _parts(items: tuple[T, ...]) -> list[tuple[T, ...]]:
    return [items[at : at + PIECE_ITEMS] for at in range(0, len(items), PIECE_ITEMS)]


def _content(job: Job) -> bytes:
    if job.fd is None:
        return job.content
    with open(job.fd, "rb") as file:
        return file.read()


def _limit(job: Job) -> None:
    """Take from this process what reading a file does not need."""
    for kind, limit in (
        (resource.RLIMIT_NOFILE, _MAX_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(kind, (limit, limit))
    if sys.platform == "linux":  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (job.memory_bytes, job.memory_bytes))
    # The first of the two ends it with a signal that tells why, the second with any.
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    seconds = job.cpu_seconds + int(used)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    os.nice(_NICE)


def _private_stdout() -> BinaryIO:
    """Keep the pipe to the server for messages: what a library prints goes nowhere."""
    pipe = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return os.fdopen(pipe, "wb")


if __name__ == "__main__":
    main()
