"""What embedding costs: held before it where the model has a price, and settled after it.

The price is that of the model's row in the registry, an administrator's or the list's; what has
none is written down with its tokens alone.
"""

import logging
from collections.abc import Mapping
from typing import Final

import msgspec

from palaver.domain.errors import NotFound, QuotaExceeded
from palaver.domain.events import UsageReported
from palaver.domain.models import Model
from palaver.domain.usage import Terms, UsageKind
from palaver.kit.clock import SECOND, Clock, system_clock
from palaver.kit.tasks import Tasks
from palaver.services.calls import LEASE
from palaver.services.ledger import Grant, Work, grant, reserve, settle, terms_of
from palaver.storage.database import Database, DatabaseError, retrying
from palaver.storage.tx import Tx

log = logging.getLogger(__name__)

POOR: Final = 60 * SECOND
"""So long a user whose cost limit is used up is left alone."""


class Held(msgspec.Struct, frozen=True):
    """What is held for one user's share of a batch; None where nothing has to be."""

    grant: Grant | None = None
    reservation_id: int | None = None


_NOTHING: Final = Held()


class EmbeddingCosts:
    """Pays for what one model has read."""

    def __init__(self, db: Database, model: str, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.model = model
        self.clock = clock
        self._tasks = Tasks()
        self._poor: dict[int, int] = {}  # users, and until when they are left alone

    async def close(self) -> None:
        """Wait until all is settled."""
        await self._tasks.wait()

    def poor(self) -> frozenset[int]:
        """Return users for whom nothing is embedded now."""
        at = self.clock()
        self._poor = {owner: until for owner, until in self._poor.items() if until > at}
        return frozenset(self._poor)

    async def hold(self, tokens: Mapping[int, int]) -> dict[int, Held]:
        """Hold what so many tokens of users cost; who cannot pay is not in the result."""
        async with self.db.read() as tx:
            model = await _priced(tx, self.model)
        if model is None:
            return dict.fromkeys(tokens, _NOTHING)
        held = {}
        for owner_id, count in tokens.items():
            try:
                held[owner_id] = await self._hold(owner_id, model, count)
            except (QuotaExceeded, NotFound):
                self._poor[owner_id] = self.clock() + POOR
        return held

    async def settle(
        self, owner_id: int, usage: UsageReported | None, held: Held = _NOTHING
    ) -> None:
        """Write what was read for a user, None = nothing.

        A database that refuses is no reason to throw vectors away.
        """
        if usage is None and held.grant is None:
            return
        try:
            await self._settle(owner_id, usage, held)
        except DatabaseError:
            log.warning("an embedding of user %d is not settled", owner_id, exc_info=True)

    async def charge_question(self, owner_id: int, tokens: int) -> None:
        """Pay for a question that was embedded, beside whoever waits for what it finds."""
        if tokens:
            work = self.settle(owner_id, UsageReported(tokens, 0))
            _ = self._tasks.start(work, name="settle a question")

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

    @retrying
    async def _settle(self, owner_id: int, usage: UsageReported | None, held: Held) -> None:
        at = self.clock()
        async with self.db.transaction() as tx:
            terms = await self._terms(tx, owner_id) if held.grant is None else held.grant.terms
            if terms is None:  # the user is gone
                return
            await settle(
                tx,
                Work(owner_id=owner_id, model=self.model, kind=UsageKind.EMBEDDING),
                terms,
                usage,
                reservation_id=held.reservation_id or 0,
                started_at=at if held.grant is None else held.grant.at,
                at=at,
            )

    async def _terms(self, tx: Tx, owner_id: int) -> Terms | None:
        standing = await tx.plans.standing(owner_id=owner_id, at=self.clock())
        if standing is None:
            return None
        plan, subscribed_at = standing
        model = await _priced(tx, self.model)
        if model is None:
            return Terms(plan_id=plan.id, subscribed_at=subscribed_at)
        return terms_of(model, plan, subscribed_at)


async def _priced(tx: Tx, name: str) -> Model | None:
    """Return the model's row, where it says what tokens cost; it has no completions to pay."""
    model = await tx.models.find(name)
    if model is None or model.is_free:
        return None
    if model.prompt_price is None and model.profile.prompt_price is None:
        return None
    return msgspec.structs.replace(model, completion_price=0)
