"""The database of the settings, for commands that run beside a server."""

import contextlib
from collections.abc import AsyncIterator

from palaver.config import Settings
from palaver.storage import migrate
from palaver.storage.database import Database
from palaver.storage.opening import open_database


@contextlib.asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[Database]:
    """Open a database that is up to date. Raises `DatabaseError` where it is not."""
    db = await open_database(settings.database)
    try:
        await migrate.check(db)
        yield db
    finally:
        await db.close()
