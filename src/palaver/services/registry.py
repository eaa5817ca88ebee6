"""The registry of models: as one process keeps it, and as administrators change it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from palaver.domain.cursors import LIMIT, LIMIT_MAX, Stretch, parse_cursor
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput, NotFound
from palaver.domain.models import ListedModel, Model, ModelChange, model_name, parse_model_name
from palaver.domain.profiles import profile_by_name
from palaver.domain.users import Actor, AuditAction
from palaver.kit.clock import SECOND, Clock, system_clock
from palaver.services.audit import note
from palaver.storage.database import Database

FRESH: Final = SECOND


class Registry:
    """All rows by name, at most a second old: other processes write the table too."""

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


class RegistryService:
    """The registry, as administrators keep it."""

    def __init__(
        self,
        db: Database,
        registry: Registry,
        *,
        provider_ids: Collection[str],
        clock: Clock = system_clock,
    ) -> None:
        self.db = db
        self.registry = registry
        self.provider_ids = provider_ids
        self.clock = clock

    async def list(
        self, actor: Actor, *, cursor: str | None = None, limit: int = LIMIT
    ) -> Stretch[Model]:
        """Return models, oldest first, at most 1000, active or not. Raises `InvalidInput`."""
        actor.require_admin()
        after, limit = parse_cursor(cursor, first=0), min(limit, LIMIT_MAX)
        async with self.db.read() as tx:
            found = await tx.models.page(after=after, limit=limit + 1)
        return Stretch.of(found, limit=limit, id=lambda model: model.id)

    async def get(self, actor: Actor, key: int | str) -> Model:
        """Return a model by its id, or by its whole name. Raises `NotFound`."""
        actor.require_admin()
        async with self.db.read() as tx:
            if isinstance(key, int):
                return _found(await tx.models.get(key))
            return _found(await tx.models.find(key))

    async def create(
        self, actor: Actor, model_id: str, change: ModelChange, *, provider_id: str | None = None
    ) -> Model:
        """Add a model that its provider need not list; `model_id` is its whole `provider/name`.

        What it can do is known by its name. Raises `InvalidInput`, `DomainError` (`CONFLICT`: there
        is one of this name).
        """
        actor.require_admin()
        columns = change.columns()
        provider, upstream = parse_model_name(model_id, provider_id)
        if provider not in self.provider_ids:
            known = ", ".join(self.provider_ids) or "none"
            field = "model_id" if provider_id is None else "provider_id"
            message = f"There is no provider {provider}; there are: {known}."
            raise InvalidInput.of(field, Fault.NOT_ALLOWED, message)
        model = Model(
            id=0,
            name=model_name(provider, upstream),
            label=upstream,
            profile=profile_by_name(upstream),
            is_active=1,
            listed_at=None,
            created_at=self.clock(),
        )
        async with self.db.transaction() as tx:
            stored = await tx.models.insert(replace(model, **columns))
            if stored is None:
                message = f"There is a model {model.name} already: change that one."
                raise DomainError(message, kind=ErrorKind.CONFLICT)
            await note(tx, actor, AuditAction.MODEL_ADDED, stored.name, at=self.clock())
        await self.registry.rows(anew=True)
        return stored

    async def update(self, actor: Actor, id: int, change: ModelChange) -> Model:
        """Change what is said of a model. Runs that have begun keep their price.

        Raises `NotFound`, `InvalidInput`.
        """
        actor.require_admin()
        columns = change.columns()
        async with self.db.transaction() as tx:
            model = replace(_found(await tx.models.lock(id)), **columns)
            await tx.models.save(model)
            done = AuditAction.MODEL_CHANGED
            await note(tx, actor, done, model.name, details=change.given, at=self.clock())
        await self.registry.rows(anew=True)
        return model

    async def delete(self, actor: Actor, id: int) -> None:
        """Remove a model that its provider has never listed: any other would come back.

        Raises `NotFound`, `DomainError` (`CONFLICT`).
        """
        actor.require_admin()
        async with self.db.transaction() as tx:
            model = _found(await tx.models.lock(id))
            if model.listed_at is not None:
                message = "Its provider lists this model, so it would come back: deactivate it."
                raise DomainError(message, kind=ErrorKind.CONFLICT)
            await tx.models.delete(id)
            await note(tx, actor, AuditAction.MODEL_DELETED, model.name, at=self.clock())
        await self.registry.rows(anew=True)


def _found(model: Model | None) -> Model:
    if model is None:
        raise NotFound("model")
    return model
