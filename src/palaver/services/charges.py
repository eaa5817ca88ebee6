"""Charges: what was used beside answers, of an embedder or a search engine, is written down.

By then it is done: a database that refuses is no reason to throw away what somebody waits for.
"""

import logging
from typing import Final

import msgspec

from palaver.domain.events import UsageReported
from palaver.domain.models import Model
from palaver.domain.usage import Terms
from palaver.kit.clock import Clock, system_clock
from palaver.kit.tasks import Tasks
from palaver.services.ledger import Grant, Work, settle, terms_of
from palaver.storage.database import Database, DatabaseError, retrying
from palaver.storage.tx import Tx

log = logging.getLogger(__name__)


class Held(msgspec.Struct, frozen=True):
    """What is held for something; None where nothing has to be."""

    grant: Grant | None = None
    reservation_id: int | None = None


NOTHING: Final = Held()


class Charges:
    """Pays for what was used, by the price that its model has in the registry, if there is one."""

    def __init__(self, db: Database, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.clock = clock
        self._tasks = Tasks()

    async def close(self) -> None:
        """Wait until all is settled."""
        await self._tasks.wait()

    def pay_beside(self, work: Work, usage: UsageReported) -> None:
        """Pay beside whoever waits for what it was used for."""
        _ = self._tasks.start(self.pay(work, usage), name=f"pay for {work.kind}")

    async def pay(self, work: Work, usage: UsageReported | None, held: Held = NOTHING) -> None:
        """Write what was used, None = nothing, and give back the rest of what was held."""
        if usage is None and held.grant is None:
            return
        try:
            await self._write(work, usage, held)
        except DatabaseError:
            log.warning("%s of user %d is not settled", work.model, work.owner_id, exc_info=True)

    @retrying
    async def _write(self, work: Work, usage: UsageReported | None, held: Held) -> None:
        at = self.clock()
        async with self.db.transaction() as tx:
            terms = await _terms(tx, work, at=at) if held.grant is None else held.grant.terms
            if terms is None:  # the user is gone
                return
            await settle(
                tx,
                work,
                terms,
                usage,
                reservation_id=held.reservation_id or 0,
                started_at=at if held.grant is None else held.grant.at,
                at=at,
            )


async def priced(tx: Tx, name: str) -> Model | None:
    """Return the model's row, where it says what tokens cost; it has no completions to pay."""
    model = await tx.models.find(name)
    if model is None or model.is_free:
        return None
    if model.prompt_price is None and model.profile.prompt_price is None:
        return None
    return msgspec.structs.replace(model, completion_price=0)


async def _terms(tx: Tx, work: Work, *, at: int) -> Terms | None:
    standing = await tx.plans.standing(owner_id=work.owner_id, at=at)
    if standing is None:
        return None
    plan, subscribed_at = standing
    model = await priced(tx, work.model)
    if model is None:
        return Terms(plan_id=plan.id, subscribed_at=subscribed_at)
    return terms_of(model, plan, subscribed_at)
