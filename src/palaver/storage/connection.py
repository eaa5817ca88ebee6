"""The four primitives that a store calls: all that the engines have in common."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from palaver.storage.statements import Engine, Statement

R = TypeVar("R")


class Connection(Protocol):
    """One transaction, or one read, as a store sees it."""

    @property
    def engine(self) -> Engine:
        """Return which database this is."""

    async def all(self, statement: Statement[R], /, **values: Any) -> list[R]:
        """Return every row."""

    async def one(self, statement: Statement[R], /, **values: Any) -> R | None:
        """Return the first row, or None."""

    async def run(self, statement: Statement[Any], /, **values: Any) -> int:
        """Run a statement without rows; return how many rows it changed."""

    async def many(self, statement: Statement[Any], rows: Sequence[Mapping[str, Any]], /) -> None:
        """Run a statement once for each mapping of values."""
