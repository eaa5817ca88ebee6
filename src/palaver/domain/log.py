"""The port between running generations and what keeps their log."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from palaver.domain.events import Segment


class Fenced(Exception):
    """This worker was declared dead: what it still holds belongs to others now."""


class Refused(Exception):
    """The database refused the rows themselves (U+0000, a lone surrogate): not worth repeating."""


class Claimed(msgspec.Struct, frozen=True):
    """A run that this worker has just taken over."""

    generation_id: int
    attempt: int
    worker: int  # who took it over: `(worker, attempt)` fences whatever is written for it


class Listener(Protocol):
    """Who is told at once what other workers do, and looks rarely as long as that is so."""

    def rely(self, *, is_told: bool) -> None:
        """Note that everything is told from now on, or nothing; either way, look once."""

    def heard_of(self, worker: int) -> None:
        """Note that a worker (0: any) has logged something."""

    def wake(self) -> None:
        """Note that runs were queued, or asked to end."""


class GenerationLog(Protocol):
    """What `streaming` needs of the database. Every method but `listen` is one transaction."""

    async def listen(self, listener: Listener) -> None:
        """Tell the listener what other workers do, for ever; return where there are none."""

    async def enlist(self, *, lease_microseconds: int) -> int:
        """Register a new worker; its id is never used again, so it is the epoch."""

    async def flush(
        self,
        worker: int,
        batch: Sequence[tuple[int, Sequence[Segment]]],
        *,
        lease_microseconds: int,
    ) -> None:
        """Renew the worker's lease and append the rows of `(generation id, segments)`.

        Raises `Fenced`, or `Refused` when the rows themselves are at fault; after anything else the
        outcome is unknown, and the same rows may be given again (the position makes them unique).
        """

    async def read(self, generation_id: int, after: int, *, limit: int) -> list[Segment]:
        """Return the logged segments that end beyond `after`, in order, uncut."""

    async def tail(
        self, positions: Sequence[tuple[int, int]], *, limit: int
    ) -> list[tuple[int, Segment]]:
        """Read on in many runs at once: given `(generation id, after)`, as `read` for each.

        At most `limit` segments of each run, in order within it.
        """

    async def bury_the_dead(self) -> int:
        """Declare workers dead whose lease ran out, and queue their runs; return how many.

        Queues every running run of any dead worker, not only of those who died just now: a start
        may have committed under a worker that was declared dead meanwhile.
        """

    async def retire(self, worker: int) -> None:
        """Declare this worker dead, and queue what it still runs. Harmless when repeated."""

    async def claim(self, worker: int, *, limit: int) -> list[Claimed]:
        """Take over queued runs, oldest first, each with its next attempt number."""

    async def canceled(self, worker: int) -> list[int]:
        """Return this worker's live runs that somebody has asked to cancel."""

    async def owned(self, worker: int) -> list[Claimed]:
        """Return what the database believes this worker to be running."""

    async def release(self, worker: int, generation_ids: Sequence[int]) -> None:
        """Put runs of this worker back into the queue, those that it still runs."""
