"""Messages on a pipe: four bytes that tell the length, then the message as MessagePack."""

from typing import Any, BinaryIO, Final

import msgspec

LENGTH_BYTES: Final = 4


def frame(message: Any) -> bytes:
    """Return a message as it goes onto the pipe."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def read_frame(pipe: BinaryIO) -> bytes:
    """Return the next message, still encoded. Raises `EOFError` where there is none."""
    length = int.from_bytes(_exactly(pipe, LENGTH_BYTES), "big")
    return _exactly(pipe, length)


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data
