"""A run: the output of one generation that this worker drives, on its way into the log."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from palaver.domain.events import SPANS, Event, EventKind, Segment, pack
from palaver.domain.generations import OutlineItem
from palaver.domain.log import Refused
from palaver.streaming.channel import Channel
from palaver.streaming.segments import number, outline_of, text_of

ROOM_BYTES: Final = 256 * 1024
"""Unflushed output above which a run stops reading its provider."""

ANSWER_MAX_BYTES: Final = 8 * 1024 * 1024
"""Most output of one run, as UTF-8."""

PIECE_BYTES: Final = 128
"""What a piece costs beside its text, so that a million tiny ones are no way around the cap."""


class Lost(Exception):
    """The run belongs to somebody else now, or to nobody: leave it, and write nothing for it."""


class CancelRequested(Exception):
    """Somebody wants the run to stop: end it as canceled."""


class Keeper(Protocol):
    """Who flushes a run's output and knows which runs are live."""

    def mark(self, run: "Run") -> None:
        """Note that the run has something to flush."""

    def ended(self, run: "Run") -> None:
        """Note that the run is over."""

    def left(self, run: "Run") -> None:
        """Note that the run is over for its owner, and goes on elsewhere, or will."""


class Run:
    """One live run. `(worker, attempt)` fences what its owner writes in transactions of its own."""

    __slots__ = (
        "_bytes",
        "_guard",
        "_is_marked",
        "_is_sealing",
        "_keeper",
        "_kind",
        "_pending",
        "_pending_bytes",
        "_reason",
        "_sealed",
        "_waiters",
        "attempt",
        "channel",
        "flying",
        "flying_bytes",
        "generation_id",
        "is_full",
        "position",
        "worker",
    )

    def __init__(self, channel: Channel, keeper: Keeper, *, worker: int, attempt: int) -> None:
        self.generation_id = channel.generation_id
        self.worker = worker
        self.attempt = attempt
        self.channel = channel
        self.position = channel.until  # the end of what has gone to the flusher
        self.is_full = (
            False  # the cap is reached: what came beyond it was dropped; end with `length`
        )
        self._keeper = keeper
        self._pending: list[tuple[EventKind, str]] = []
        self._pending_bytes = 0
        self.flying: list[Segment] = []  # on its way into the log: what the flusher writes
        self.flying_bytes = 0  # about how large that is
        self._sealed: list[Segment] = []
        self._kind: EventKind | None = None  # of the newest event
        self._bytes = sum(_size(piece.body) + PIECE_BYTES for piece in channel.pieces())
        self._is_marked = False
        self._is_sealing = False
        self._reason: Exception | None = None  # why it was stopped
        self._guard: Guard | None = None
        self._waiters: list[asyncio.Future[None]] = []

    # From the provider

    def feed(self, event: Event) -> None:
        """Take the next event; never waits. Raises the reason when the run has been stopped.

        Neighbours are merged, and shown to followers once they are logged. Spans beyond the cap
        are dropped, and `is_full` tells so.
        """
        if self._reason is not None:
            raise self._reason
        kind, body = pack(event)
        is_span = kind in SPANS
        size = len(body) if body.isascii() else _size(body)
        if is_span:
            if self.is_full:
                return
            if self._bytes + size > ANSWER_MAX_BYTES:
                self.is_full = True
                body, size = _head(body, ANSWER_MAX_BYTES - self._bytes)
            if not body:
                return
        if kind is not self._kind or not is_span:
            size += PIECE_BYTES
        self._kind = kind
        self._bytes += size
        self._pending.append((kind, body))
        self._pending_bytes += size
        if not self._is_marked:
            self._is_marked = True
            self._keeper.mark(self)

    @property
    def is_crowded(self) -> bool:
        """Tell whether whoever feeds the run should wait for `room`."""
        return self._pending_bytes + self.flying_bytes > ROOM_BYTES

    async def room(self) -> None:
        """Wait while more than `ROOM_BYTES` are unflushed. Raises the reason, as `feed`."""
        while self._reason is None and self._pending_bytes + self.flying_bytes > ROOM_BYTES:
            await self._settled()
        if self._reason is not None:
            raise self._reason

    def guard(self) -> "Guard":
        """Return a block in which a stop of the run cancels the body and raises the reason.

        `Lost`, `Refused` (the database cannot store this text), `CancelRequested`, or whatever was
        given to `stop`. One at a time.
        """
        return Guard(self)

    def stop(self, reason: Exception) -> None:
        """Stop whoever feeds the run; only `Lost` replaces an earlier reason."""
        if self._reason is None or isinstance(reason, Lost):
            self._reason = reason
            if self._guard is not None:
                self._guard.fire()
            self._wake()

    # At the end

    async def seal(self, *events: Event) -> list[Segment]:
        """Return all that is not logged, the last events included, for the finishing transaction.

        Waits for a flush in flight; from then on the flusher leaves the run alone. Once the
        transaction has committed, `publish` the segments. May be called again, with other events,
        when the transaction was refused. Raises `Lost`, and once `Refused`: seal again, as failed.
        """
        self._is_sealing = True
        try:
            was_refused = isinstance(self._reason, Refused)
            while self.flying and not isinstance(self._reason, Lost):
                await self._settled()
            if isinstance(self._reason, Lost):
                raise self._reason
            if isinstance(self._reason, Refused) and not was_refused:
                raise self._reason
        except BaseException:
            self._is_sealing = False
            self._mark_again()
            raise
        self._sealed = number([*self._pending, *map(pack, events)], self.position)
        return self._sealed

    def discard(self) -> None:
        """Forget what is not logged: the finishing transaction found that it cannot be stored."""
        self._pending, self._pending_bytes, self._sealed = [], 0, []

    def publish(self, segments: Sequence[Segment]) -> None:
        """Show sealed segments, which the caller has committed; the final one ends the run."""
        self._pending, self._pending_bytes, self._sealed = [], 0, []
        self._is_sealing = False
        self.position = segments[-1].until if segments else self.position
        self.channel.publish(segments)
        if self.channel.is_final:
            self._keeper.ended(self)

    def leave(self) -> None:
        """Give the run up: it has ended under another attempt, or some worker takes it over soon.

        Its followers go on with what the log gets.
        """
        self.lose(Lost("given up"))
        self._keeper.left(self)

    # The whole output, what is sealed or still unlogged included

    @property
    def text(self) -> str:
        """Return the answer so far."""
        return text_of(self._all(), EventKind.TEXT)

    @property
    def reasoning(self) -> str:
        """Return the reasoning so far."""
        return text_of(self._all(), EventKind.REASONING)

    @property
    def outline(self) -> list[OutlineItem]:
        """Return the run in short."""
        return outline_of(self._all())

    def _all(self) -> list[Segment]:
        rest = self._sealed or number(self._pending, self.position)
        return [*self.channel.pieces(), *self.flying, *rest]

    # From the flusher

    def take(self) -> bool:
        """Turn what is pending into the next rows, `flying`; False when there is nothing."""
        self._is_marked = False
        pending, reason = self._pending, self._reason
        if not pending or self._is_sealing:
            return False
        if reason is not None and isinstance(reason, Lost | Refused):
            return False
        self.flying = flying = number(pending, self.position)
        self.flying_bytes = self._pending_bytes
        self._pending, self._pending_bytes = [], 0
        self.position = flying[-1].until
        return True

    def land(self) -> None:
        """The flying rows are in the log: show them."""
        landed, self.flying, self.flying_bytes = self.flying, [], 0
        self.channel.publish(landed)  # of a lost run nothing flies
        if self._waiters:
            self._wake()

    def refuse(self, reason: Refused) -> None:
        """The flying rows cannot be stored: drop them and all that follows, stop the run."""
        self.flying, self.flying_bytes = [], 0
        self.discard()
        self.position = self.channel.until
        self.stop(reason)
        self._wake()

    def lose(self, reason: Lost) -> None:
        """The run is no longer ours: whatever is not logged is nobody's."""
        self.flying, self.flying_bytes = [], 0
        self.discard()
        self.stop(reason)

    def _mark_again(self) -> None:
        if self._pending and not self._is_marked:
            self._is_marked = True
            self._keeper.mark(self)

    async def _settled(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class Guard:
    """Cancels its body when the run is stopped, as `asyncio.timeout` does when time is up."""

    __slots__ = ("_cancelling", "_is_fired", "_run", "_task")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._is_fired = False

    async def __aenter__(self) -> Self:
        if self._run._reason is not None:
            raise self._run._reason
        self._task = asyncio.current_task()
        if self._task is not None:
            self._cancelling = self._task.cancelling()
        self._run._guard = self
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run._guard = None
        task, reason = self._task, self._run._reason
        if task is None or not self._is_fired:
            return
        is_ours = task.uncancel() <= self._cancelling
        # Whatever the body made of the cancellation, the stop is why it ended.
        if is_ours and error is not None and reason is not None:
            raise reason from error

    def fire(self) -> None:
        """Cancel the body, once; not when it is itself who stops the run: `feed` will tell it."""
        if not self._is_fired and self._task is not asyncio.current_task():
            self._is_fired = True
            if self._task is not None:
                self._task.cancel()


def _size(body: str) -> int:
    """Return the size as UTF-8; a lone surrogate, which the log will refuse, counts three."""
    return len(body.encode("utf-8", "surrogatepass"))


def _head(body: str, size: int) -> tuple[str, int]:
    """Return the longest beginning of at most `size` bytes as UTF-8, with its size."""
    data = body.encode("utf-8", "surrogatepass")[: max(size, 0)]
    return data.decode("utf-8", "ignore"), len(data)
