"""Facts about the whole installation, each true once and for good."""

from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_FIND = Statement("select value from facts where name = :name", str)
_CLAIM = Statement(
    """
    insert into facts (name, value) values (:name, :value)
    on conflict (name) do nothing returning value
    """,
    str,
)
_FOUNDED = Statement("select min(applied_at) from schema_version", int)


class FactStore:
    """Facts by name."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def find(self, name: str) -> str | None:
        """Return a fact, or None."""
        return await self.connection.one(_FIND, name=name)

    async def claim(self, name: str, value: str) -> bool:
        """State a fact; False when somebody did before. Of parallel claims one succeeds."""
        return await self.connection.one(_CLAIM, name=name, value=value) is not None

    async def founded_at(self) -> int:
        """Return the instant at which this database was made."""
        return await self.connection.one(_FOUNDED) or 0

    async def ping(self) -> None:
        """Read something, to see whether the database answers."""
        await self.connection.one(_FIND, name="")
