"""A channel: what one run has shown so far on this worker, and who waits for more."""

import weakref
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from operator import attrgetter
from typing import Final, Protocol

from palaver.domain.events import FINAL, Segment
from palaver.streaming.segments import PIECE_MAX, clip, merge

NEWEST_MAX: Final = 32
"""How many pieces are kept as they were published, frames and all."""

_until = attrgetter("until")


class Reader(Protocol):
    """Who reads a channel; while it waits it wants to be told."""

    def wake(self) -> None:
        """Look at what has come."""


class Channel:
    """The owner's channel keeps all of the run, older pieces merged; a tailing one, the newest.

    Holds `(base, until]`. Everything in it has been logged.
    """

    __slots__ = (
        "_memo",
        "_newest",
        "_older",
        "base",
        "followers",
        "generation_id",
        "is_cut",
        "is_final",
        "keeps_all",
        "until",
        "waiting",
    )

    def __init__(self, generation_id: int, *, base: int, keeps_all: bool) -> None:
        self.generation_id = generation_id
        self.base = base
        self.until = base
        self.keeps_all = keeps_all
        self.is_final = False  # its last segment is the run's final event
        self.is_cut = False  # nothing more will come here, though the run may not have ended
        self.followers: weakref.WeakSet[Reader] = weakref.WeakSet()
        self.waiting: set[Reader] = set()  # those whom the next change wakes
        self._older: list[Segment] = []
        self._newest: list[Segment] = []
        self._memo: tuple[int, list[Segment]] | None = None

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more will come here."""
        return self.is_final or self.is_cut

    def publish(self, segments: Sequence[Segment]) -> None:
        """Show logged segments, which begin where the channel ends, to all followers."""
        if not segments:
            return
        last, newest = segments[-1], self._newest
        newest += segments
        self._memo = None
        self.until = last.until
        self.is_final = last.kind in FINAL
        if len(newest) > NEWEST_MAX:
            self._fold(len(newest) - NEWEST_MAX // 2)
        if self.waiting:
            self._wake()

    def _fold(self, count: int) -> None:
        folded = self._newest[:count]
        del self._newest[:count]
        if not self.keeps_all:
            self.base = folded[-1].until
            return
        # Full pieces stay as they are, so that folding never copies more than one piece.
        if self._older and len(self._older[-1].body) < PIECE_MAX:
            folded.insert(0, self._older.pop())
        self._older += merge(folded)

    def restart(self, segments: Sequence[Segment]) -> None:
        """Become the owner's channel: hold the whole log so far, at least what is held already."""
        self.keeps_all = True
        self.base = self.until = 0
        self._older = []
        self._newest = []
        self.publish(segments)

    def forsake(self) -> None:
        """Become a tailing channel: keep the newest pieces only."""
        self.keeps_all = False
        if self._older:
            self.base = self._older[-1].until
            self._older = []

    def since(self, after: int) -> list[Segment]:
        """Return what lies beyond `after` (at least `base`, below `until`), at most `PIECE_MAX`.

        Followers at one place get the very same segments, and so share the frames.
        """
        last = self._newest[-1]
        if last.start == after:
            return [last]
        if self._memo is None or self._memo[0] != after:
            self._memo = (after, clip(self._beyond(after), after))
        return self._memo[1]

    def _beyond(self, after: int) -> Iterable[Segment]:
        if after >= self._newest[0].start:
            return islice(self._newest, bisect_right(self._newest, after, key=_until), None)
        first = bisect_right(self._older, after, key=_until)
        return chain(islice(self._older, first, None), self._newest)

    def pieces(self) -> list[Segment]:
        """Return all that is held, in order."""
        return [*self._older, *self._newest]

    def cut(self) -> None:
        """End the streams here without a final event."""
        self.is_cut = True
        self._wake()

    def _wake(self) -> None:
        for follower in tuple(self.waiting):
            follower.wake()
