"""A model from the standard input, then texts; vectors on the standard output, until the end."""

import os
import sys
from collections.abc import Callable
from typing import BinaryIO, Final

import msgspec

from palaver.domain.embedding import Answer, Ask, Load, Ready, Refused, Vectors
from palaver.kit.frames import frame, read_frame

_NICE: Final = 10
_MAX_REASON: Final = 300


def main() -> None:
    """Serve until the server is gone, or has had enough."""
    os.nice(_NICE)
    pipe = _private_stdout()

    def tell(answer: Answer) -> None:
        pipe.write(frame(answer))
        pipe.flush()

    try:
        _serve(sys.stdin.buffer, tell)
    except EOFError:
        return


def _serve(source: BinaryIO, tell: Callable[[Answer], None]) -> None:
    load = msgspec.msgpack.decode(read_frame(source), type=Load)
    try:
        # Its libraries take a second: they are read when there is a model to read with them.
        from palaver.embedding.model import Model  # noqa: PLC0415

        model = Model(load.folder)
    except Exception as error:  # noqa: BLE001  # whatever is wrong with a model, the operator reads
        tell(Refused(f"{type(error).__name__}: {error}"[:_MAX_REASON]))
        return
    prompts = model.prompts
    tell(Ready(prompts.get("query"), prompts.get("passage", prompts.get("document"))))
    while True:
        ask = msgspec.msgpack.decode(read_frame(source), type=Ask)
        try:
            tell(Vectors(*model.embed(ask.texts)))
        except Exception as error:  # noqa: BLE001  # the next text may fare better
            tell(Refused(f"{type(error).__name__}: {error}"[:_MAX_REASON]))


def _private_stdout() -> BinaryIO:
    """Keep the pipe to the server for answers: what a library prints goes nowhere."""
    pipe = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return os.fdopen(pipe, "wb")


if __name__ == "__main__":
    main()
