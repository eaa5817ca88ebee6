"""What workers tell each other at a commit, so that nobody has to look for it all the time.

Only PostgreSQL has several workers. Each notice can be lost with its connection; whoever relies on
them looks now and then as well.
"""

from typing import Final

from palaver.storage.connection import Connection
from palaver.storage.statements import Engine, Statement

CHANNEL: Final = "palaver"
"""Carries the id of a worker that has logged something (0: whoever it is), or `RUNS`."""

RUNS: Final = "runs"
"""Says that runs were queued, or asked to end."""

_TELL_OF_RUNS: Final[Statement[None]] = Statement(
    postgresql=f"select pg_notify('{CHANNEL}', '{RUNS}')"
)


async def tell_of_runs(connection: Connection) -> None:
    """Tell every worker, once this has been committed, to look after runs."""
    if connection.engine is Engine.POSTGRESQL:
        await connection.run(_TELL_OF_RUNS)
