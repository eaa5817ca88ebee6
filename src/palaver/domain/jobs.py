"""Jobs: background work that is stored as a row until it is done."""

from typing import Any, Final

import msgspec

from palaver.kit.clock import HOUR, SECOND

_FIRST_PAUSE: Final = 5 * SECOND
_LONGEST_PAUSE: Final = HOUR


class Job(msgspec.Struct, frozen=True):
    """One piece of work, leased until `run_at`; `attempt` counts from one."""

    id: int
    kind: str
    payload: dict[str, Any]
    run_at: int
    attempt: int

    @property
    def pause(self) -> int:
        """Return how long to wait after this attempt failed, in microseconds: 5 s, doubling."""
        return min(_FIRST_PAUSE << min(self.attempt - 1, 20), _LONGEST_PAUSE)
