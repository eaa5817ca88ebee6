"""`palaver migrate`."""

import argparse
import os

from palaver.config import load
from palaver.storage import migrate as migration
from palaver.storage.opening import open_database
from palaver.storage.process_lock import sole_process


async def migrate(_: argparse.Namespace) -> int:
    """Apply the steps that the database lacks, and name them."""
    settings = load()
    os.umask(0o077)
    with sole_process(settings.database):
        db = await open_database(settings.database)
        try:
            applied = await migration.migrate(db)
        finally:
            await db.close()
    print("\n".join(f"applied {name}" for name in applied) or "The database is up to date.")
    return 0
