"""Fixtures for all tests: a fresh database, once for each engine."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from palaver.storage.database import Database
from palaver.storage.opening import open_database
from palaver.storage.statements import Engine
from tests.databases import PostgreSQLServer, new_sqlite


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a reviewed schema be written: see `tests/storage/schema_text.py`."""
    parser.addoption("--write-schema", action="store_true", help="write storage/schema/*.sql")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQLServer]:
    """One server for the whole run, all workers of pytest-xdist included."""
    server = PostgreSQLServer()
    yield server
    server.stop()


@pytest.fixture(params=list(Engine), ids=str)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of a fresh, migrated database: the test runs on both engines."""
    if request.param is Engine.SQLITE:
        return new_sqlite(tmp_path)
    server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
    return server.fresh()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """Give a fresh, migrated database: the test runs on both engines."""
    database = await open_database(database_url)
    yield database
    await database.close()
