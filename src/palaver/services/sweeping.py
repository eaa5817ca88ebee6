"""Sweeping: files that no row knows, left behind by what broke off or was deleted."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeAlias

from palaver.storage.database import Database
from palaver.storage.files import SHARDS, Files
from palaver.storage.tx import Tx

STRAY_SECONDS: Final = 3_600.0
"""A file that no row knows by then belongs to what never came to its end."""

Known: TypeAlias = Callable[[Tx, Iterable[str]], Awaitable[set[str]]]
"""Returns which of these files there is a row for."""


async def sweep(db: Database, files: Files, known: Known) -> int:
    """Remove old files that no row knows; return how many.

    Those from before this database was made are another's: a server that was started with the
    wrong one takes nothing away.
    """
    async with db.read() as tx:
        since = await tx.facts.founded_at()
    swept = 0
    for shard in SHARDS:
        names = await files.old(shard, age_seconds=STRAY_SECONDS, since=since)
        if not names:
            continue
        async with db.read() as tx:
            kept = await known(tx, names)
        strays = [name for name in names if name not in kept]
        await files.sweep(shard, strays)
        swept += len(strays)
    return swept
