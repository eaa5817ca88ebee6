"""The port between whoever keeps the output of runs and whoever sends it to a reader."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

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


Take: TypeAlias = Callable[[Sequence[Segment]], bool]
"""Takes pieces; False where the task that waits for more has to be woken, which gets None."""


@runtime_checkable
class PassingStream(Stream, Protocol):
    """A stream that can hand on what comes within the call that publishes it."""

    def pass_to(self, take: Take) -> None:
        """Give `take` what comes while a `next` waits, which then waits on.

        It is woken as ever for the end and after a silence, which `take` does not break. What
        `take` fails at is given again, by `next`.
        """
