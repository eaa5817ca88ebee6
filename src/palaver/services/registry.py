"""The registry as one process keeps it: all rows by name, at most a second old."""

from collections.abc import Mapping, Sequence
from typing import Final

from palaver.domain.models import ListedModel, Model, model_name
from palaver.kit.clock import SECOND, Clock
from palaver.storage.database import Database

FRESH: Final = SECOND


class Registry:
    """Rows of models; others write the table too, so that nothing is kept for longer."""

    def __init__(self, db: Database, *, clock: Clock, new_models_hidden: bool = False) -> None:
        self.db = db
        self.clock = clock
        self.new_models_hidden = new_models_hidden
        self._rows: Mapping[str, Model] = {}
        self._read_at = 0
        self._reads_begun = 0
        self._read_number = 0  # of the one that `_rows` came of; 0: of none yet

    async def rows(self, *, anew: bool = False) -> Mapping[str, Model]:
        """Return all rows by name, oldest first."""
        at = self.clock()
        if self._read_number == 0 or anew or at - self._read_at > FRESH:
            self._read_at = at  # before the wait: meanwhile others take what there is
            self._reads_begun += 1
            number = self._reads_begun
            async with self.db.read() as tx:
                rows = {row.name: row for row in await tx.models.all()}
            # A read that began later may have ended earlier: what it saw is newer.
            if number > self._read_number:
                self._rows, self._read_number = rows, number
        return self._rows

    async def keep(self, provider_id: str, models: Sequence[ListedModel]) -> None:
        """Make rows of what is new in a provider's list, and renew the profiles that changed."""
        rows = await self.rows(anew=True)
        changed = [model for model in models if _is_news(rows, provider_id, model)]
        if not changed:
            return
        at = self.clock()
        async with self.db.transaction() as tx:
            await tx.models.put(
                provider_id, changed, is_active=not self.new_models_hidden, listed_at=at, at=at
            )
        await self.rows(anew=True)


def _is_news(rows: Mapping[str, Model], provider_id: str, model: ListedModel) -> bool:
    row = rows.get(model_name(provider_id, model.name))
    return row is None or row.listed_at is None or row.profile != model.profile
