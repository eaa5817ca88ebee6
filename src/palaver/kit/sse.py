"""Server-sent events, written and read (WHATWG HTML, "Server-sent events")."""

from typing import Final

MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_CR: Final = 13
_LF: Final = 10


def frame(data: bytes, *, event: str | None = None, id: str | None = None) -> bytes:
    """Encode one event; `data` must hold no line break (JSON from msgspec holds none)."""
    head = f"id: {id}\n" if id is not None else ""
    if event is not None:
        head = f"{head}event: {event}\n"
    return b"%bdata: %b\n\n" % (head.encode(), data)


class EventTooLarge(ValueError):
    """A peer has sent more than `max_event_bytes` without coming to an event's end."""


class Splitter:
    """Cuts a stream of bytes, in chunks cut anywhere, into the data of its events.

    Comments and every field but `data` are left out. Keeps at most `max_event_bytes` of an event
    that has not ended yet, so that a peer that never ends one cannot fill the memory.
    """

    __slots__ = ("_ended_in_cr", "_has_begun", "_line", "_lines", "_size", "max_event_bytes")

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.max_event_bytes = max_event_bytes
        self._has_begun = False
        self._line = bytearray()  # of a line whose end has not come yet
        self._lines: list[bytes] = []  # the data of an event whose end has not come yet
        self._size = 0  # of those
        self._ended_in_cr = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of each event that `chunk` ends. Raises `EventTooLarge`."""
        # Nearly every chunk is one whole event of one line, or a few: those are cut without a look
        # at each line. To look for a byte by its number is the fastest.
        if (
            self._has_begun
            and not (self._line or self._lines or self._ended_in_cr)
            and _CR not in chunk
            and chunk.startswith(b"data: ")
            and chunk.endswith(b"\n\n")
        ):
            data = chunk[6:-2]
            if _LF not in data:
                return [data]
            datas = data.split(b"\n\ndata: ")
            if not any(_LF in data for data in datas):
                return datas
        return self._feed_lines(chunk)

    def end(self) -> list[bytes]:
        """Return the data of an event that the stream's end has cut off, if there is any.

        The standard drops it; servers exist that leave out the last empty line.
        """
        if self._line:
            self._take(bytes(self._line))
            self._line.clear()
        return [self._dispatch()] if self._lines else []

    def _feed_lines(self, chunk: bytes) -> list[bytes]:
        if not self._has_begun:
            self._line += chunk
            if len(self._line) < len(_BOM) and _BOM.startswith(self._line):
                return []
            self._has_begun = True
            chunk = bytes(self._line).removeprefix(_BOM)
            self._line.clear()
        if self._ended_in_cr and chunk:
            self._ended_in_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\n" not in chunk and b"\r" not in chunk:
            self._line += chunk
            self._check_size()
            return []
        self._ended_in_cr = chunk.endswith(b"\r")
        lines = (bytes(self._line) + chunk).splitlines()
        self._line.clear()
        if not chunk.endswith((b"\n", b"\r")):
            self._line += lines.pop()
        events = []
        for line in lines:
            if line:
                self._take(line)
            elif self._lines:
                events.append(self._dispatch())
        self._check_size()
        return events

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._lines.append(value)
            self._size += len(value) + 1

    def _dispatch(self) -> bytes:
        data = b"\n".join(self._lines)
        self._lines.clear()
        self._size = 0
        return data

    def _check_size(self) -> None:
        if self._size + len(self._line) > self.max_event_bytes:
            raise EventTooLarge(f"An event is larger than {self.max_event_bytes} bytes.")
