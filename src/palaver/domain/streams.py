"""The port between whoever keeps the output of runs and whoever sends it to a reader."""

from typing import Protocol

from palaver.domain.events import Segment


class Stream(Protocol):
    """What a reader reads, live or replayed."""

    at: int  # the number up to which it has read

    async def next(
        self, *, silence_seconds: float | None = None, silent_since: float | None = None
    ) -> list[Segment] | None:
        """Return what lies beyond `at`; [] at the end, None after so much silence.

        Silence begins with the call, or at `silent_since` (the loop's time) for a reader that
        hears nothing of what came meanwhile. Never raises, and may be cancelled at any moment:
        nothing is lost, one can call it again.
        """

    def close(self) -> None:
        """Leave. Harmless when repeated."""
