"""What embedding costs: held before it where the model has a price, and settled after it.

The price is that of the model's row in the registry, an administrator's or the list's; what has
none is written down with its tokens alone.
"""

from collections.abc import Mapping
from typing import Final

from palaver.domain.errors import NotFound, QuotaExceeded
from palaver.domain.events import UsageReported
from palaver.domain.models import Model
from palaver.domain.usage import UsageKind
from palaver.kit.clock import SECOND, Clock, system_clock
from palaver.services.calls import LEASE
from palaver.services.charges import NOTHING, Charges, Held, priced
from palaver.services.ledger import Work, grant, reserve
from palaver.storage.database import Database, retrying

POOR: Final = 60 * SECOND
"""So long a user whose cost limit is used up is left alone."""


class EmbeddingCosts:
    """Pays for what one model has read."""

    def __init__(self, db: Database, model: str, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.model = model
        self.clock = clock
        self._charges = Charges(db, clock=clock)
        self._poor: dict[int, int] = {}  # users, and until when they are left alone

    async def close(self) -> None:
        """Wait until all is settled."""
        await self._charges.close()

    def poor(self) -> frozenset[int]:
        """Return users for whom nothing is embedded now."""
        at = self.clock()
        self._poor = {owner: until for owner, until in self._poor.items() if until > at}
        return frozenset(self._poor)

    async def hold(self, tokens: Mapping[int, int]) -> dict[int, Held]:
        """Hold what so many tokens of users cost; who cannot pay is not in the result."""
        async with self.db.read() as tx:
            model = await priced(tx, self.model)
        if model is None:
            return dict.fromkeys(tokens, NOTHING)
        held = {}
        for owner_id, count in tokens.items():
            try:
                held[owner_id] = await self._hold(owner_id, model, count)
            except (QuotaExceeded, NotFound):
                self._poor[owner_id] = self.clock() + POOR
        return held

    async def settle(
        self, owner_id: int, usage: UsageReported | None, held: Held = NOTHING
    ) -> None:
        """Write what was read for a user, None = nothing."""
        await self._charges.pay(self._work(owner_id), usage, held)

    async def charge_question(self, owner_id: int, tokens: int) -> None:
        """Pay for a question that was embedded, beside whoever waits for what it finds."""
        if tokens:
            self._charges.pay_beside(self._work(owner_id), UsageReported(tokens, 0))

    def _work(self, owner_id: int) -> Work:
        return Work(owner_id=owner_id, model=self.model, kind=UsageKind.EMBEDDING)

    @retrying
    async def _hold(self, owner_id: int, model: Model, tokens: int) -> Held:
        at = self.clock()
        async with self.db.transaction() as tx:
            given = await grant(
                tx,
                owner_id,
                model,
                kind=UsageKind.EMBEDDING,
                prompt_tokens=tokens,
                max_tokens=1,
                at=at,
            )
            return Held(given, await reserve(tx, given, expires_at=at + LEASE))
