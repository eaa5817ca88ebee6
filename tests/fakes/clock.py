"""A clock that stands still until a test moves it."""

from palaver.kit.clock import SECOND


class StillClock:
    """Returns the same instant, in microseconds, until it is moved."""

    def __init__(self, now: int = 1_760_000_000 * SECOND) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def move(self, *, seconds: float = 0, microseconds: int = 0) -> None:
        """Let time pass."""
        self.now += int(seconds * SECOND) + microseconds
