"""How many statements a request takes: told apart by its id, whatever else the house does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from structlog.contextvars import get_contextvars

from palaver.storage.sqlite_connection import SQLiteConnection
from palaver.storage.statements import Statement
from tests.http import Answer

PRIMITIVES = ("all", "one", "run", "many")


class Counted:
    """The statements on SQLite, by the request that asked for them."""

    def __init__(self) -> None:
        self._by_request: dict[str, list[Statement[Any]]] = {}

    def note(self, statement: Statement[Any]) -> None:
        """Put a statement to the request that runs now."""
        self._by_request.setdefault(get_contextvars().get("request_id", ""), []).append(statement)

    def of(self, answer: Answer) -> list[str]:
        """Return the texts of the statements that an answer has taken."""
        return [each.sqlite for each in self._by_request[answer.headers["x-request-id"]]]


@contextmanager
def counted() -> Iterator[Counted]:
    """Count in this block."""
    seen = Counted()

    def noting(name: str) -> Any:
        primitive = getattr(SQLiteConnection, name)

        async def run(self: Any, statement: Statement[Any], /, *rows: Any, **values: Any) -> Any:
            seen.note(statement)
            return await primitive(self, statement, *rows, **values)

        return run

    with pytest.MonkeyPatch.context() as patch:
        for name in PRIMITIVES:
            patch.setattr(SQLiteConnection, name, noting(name))
        yield seen
