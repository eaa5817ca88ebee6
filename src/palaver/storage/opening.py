"""From the address of a database to the engine behind it."""

from palaver.storage.database import Database, DatabaseError


async def open_database(url: str, *, max_connections: int = 20) -> Database:
    """Open `sqlite:///path`, a bare path, or `postgresql://…`; creates no table.

    `max_connections` counts for PostgreSQL. Raises `DatabaseError` when it cannot be opened.
    """
    # The driver that is not needed is not loaded: asyncpg and apsw cost 10 MB between them.
    if is_postgresql(url):
        from palaver.storage.postgresql import open_postgresql  # noqa: PLC0415  # see above

        return await open_postgresql(url, max_connections=max_connections)
    from palaver.storage.sqlite import open_sqlite  # noqa: PLC0415  # see above

    return open_sqlite(sqlite_path(url))


def is_postgresql(url: str) -> bool:
    """Tell whether an address names a PostgreSQL server."""
    return url.startswith(("postgresql://", "postgres://"))


def sqlite_path(url: str) -> str:
    """Return the file that a database address without a server names."""
    if "://" in url and not url.startswith("sqlite:///"):
        raise DatabaseError(f"{url.partition('://')[0]}:// is no database that Palaver knows.")
    return url.removeprefix("sqlite:///")
