"""What a rule finds."""

from typing import NamedTuple


class Finding(NamedTuple):
    """A broken rule: where, and the sentence that says what to do."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        """Return it as compilers do, so that editors jump there."""
        return f"{self.path}:{self.line}: {self.message}"
