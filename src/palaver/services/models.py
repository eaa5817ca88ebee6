"""Models: what providers list, kept as rows, and which one a generation asks."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from palaver.domain.errors import DomainError, ErrorKind, NotFound, ProviderError
from palaver.domain.models import ListedModel, Model, ModelProfile, ModelType, model_name
from palaver.domain.providers import Capabilities, Provider
from palaver.domain.users import Actor
from palaver.kit.clock import SECOND, Clock, system_clock
from palaver.kit.tasks import Tasks
from palaver.services.listings import Listing
from palaver.storage.database import Database

REGISTRY_FRESH: Final = SECOND
CHECK_SECONDS: Final = 5.0
DEMO: Final = "demo"

_SILENT: Final = frozenset(
    {
        ErrorKind.PROVIDER_UNREACHABLE,
        ErrorKind.PROVIDER_TIMEOUT,
        ErrorKind.PROVIDER_OVERLOADED,
    }
)


class ResolvedModel(msgspec.Struct, frozen=True):
    """A model, and who serves it; `model.id` is 0 for one without a row."""

    provider: Provider
    model: Model


class ListedProvider(msgspec.Struct, frozen=True):
    """A provider as people see it: its models on offer, and why there may be none."""

    id: str
    name: str
    capabilities: Capabilities
    models: Sequence[Model]
    error: str | None


class ProviderHealth(msgspec.Struct, frozen=True):
    """Whether a provider answers just now; `detail` is a sentence."""

    ok: bool
    detail: str


class ModelService:
    """The registry over all providers, in the order in which they were configured."""

    def __init__(
        self,
        db: Database,
        providers: Mapping[str, Provider],
        *,
        clock: Clock = system_clock,
        default_model: str | None = None,
        new_models_hidden: bool = False,
    ) -> None:
        self.db = db
        self.clock = clock
        self.providers = providers
        self.default_model = default_model
        self.new_models_hidden = new_models_hidden
        self._tasks = Tasks()
        self._listings = {
            id: Listing(provider, keep=self._keep, tasks=self._tasks, clock=clock)
            for id, provider in providers.items()
        }
        self._rows: Mapping[str, Model] = {}
        self._read_at = 0
        self._reads_begun = 0
        self._read_number = 0  # of the one that `_rows` came of; 0: of none yet

    async def close(self) -> None:
        """Stop asking providers; they stay open."""
        await self._tasks.cancel()

    async def warm(self, actor: Actor) -> None:
        """Ask every provider for its models, and wait for none of them."""
        actor.require_admin()
        for listing in self._listings.values():
            listing.touch()

    async def list_providers(self, actor: Actor) -> list[ListedProvider]:  # noqa: ARG002  # every use case names its caller
        """Return all providers; one that has never answered is waited for, 1.5 s at most.

        Then it is listed without models, and `error` says why.
        """
        listings = self._listings.values()
        await asyncio.gather(*(listing.ensure() for listing in listings))
        rows = await self._registry()
        return [_listed(listing, self._on_offer(listing, rows)) for listing in listings]

    async def list_models(self, actor: Actor, provider_id: str) -> Sequence[Model]:  # noqa: ARG002  # see above
        """Return a provider's active models: in its own order, then those that were added.

        Raises `NotFound`, `ProviderError` where it has never answered.
        """
        listing = self._addressed(provider_id)
        await listing.ensure()
        models = self._on_offer(listing, await self._registry())
        if listing.names is None and not models:
            raise listing.error or listing.silence()
        return models

    async def check(self, actor: Actor, provider_id: str) -> ProviderHealth:  # noqa: ARG002  # see above
        """Ask a provider now. Raises `NotFound`."""
        listing = self._addressed(provider_id)
        try:
            await listing.ask(timeout_seconds=CHECK_SECONDS)
        except ProviderError as error:
            return ProviderHealth(ok=False, detail=error.message)
        count = len(listing.names or ())
        return ProviderHealth(ok=True, detail=f"{count} model{'' if count == 1 else 's'} listed.")

    async def resolve(
        self,
        actor: Actor,  # noqa: ARG002  # see above
        *,
        provider_id: str | None = None,
        model: str | None = None,
        conversation_model: str | None = None,
        name: str | None = None,
    ) -> ResolvedModel:
        """Find the model that a generation asks, in the registry; the network is not touched.

        `model` is the provider's own name beside `provider_id`, else `provider/name`, or `demo`.
        Without one: the conversation's, as long as it is on offer; else the default of the
        settings; else the first model of the first provider that answers, the demo's last; of
        `provider_id` alone where that is given. `name` is a stored `provider/name` whose run goes
        on: it need not be on offer any more.

        Only what the registry does not know is asked of its provider, which may have begun to
        serve it a moment ago: for 1.5 s at most, once in 2 s. A provider that answers, and does
        not list it, does not have it. One that answers but cannot list models at all is taken at
        the caller's word, unless new models are hidden. One that does not answer is what failed.

        Raises `DomainError`: `PROVIDER_NOT_FOUND`, `MODEL_NOT_FOUND` (unknown or inactive);
        `ProviderError` where nothing is known because the provider does not answer.
        """
        if name is not None:
            return await self._stored(name)
        if provider_id:
            self._listing(provider_id)
        if model:
            return await self._named(_full_name(provider_id, model))
        prefix = f"{provider_id}/" if provider_id else ""
        if conversation_model and conversation_model.startswith(prefix):
            known = self._find(await self._registry(), conversation_model)
            if known is not None:
                return known
        if self.default_model and self.default_model.startswith(prefix):
            return await self._named(_full_name(None, self.default_model))
        return await self._first(provider_id)

    def _addressed(self, provider_id: str) -> Listing:
        if (listing := self._listings.get(provider_id)) is None:
            raise NotFound("provider")
        return listing

    def _listing(self, provider_id: str) -> Listing:
        listing = self._listings.get(provider_id)
        if listing is None:
            raise DomainError(
                f"There is no provider {provider_id}.", kind=ErrorKind.PROVIDER_NOT_FOUND
            )
        return listing

    async def _registry(self, *, anew: bool = False) -> Mapping[str, Model]:
        """Return all rows by name, at most a second old: others write the table too."""
        at = self.clock()
        if self._read_number == 0 or anew or at - self._read_at > REGISTRY_FRESH:
            self._read_at = at  # before the wait: meanwhile others take what there is
            self._reads_begun += 1
            number = self._reads_begun
            async with self.db.read() as tx:
                rows = {row.name: row for row in await tx.models.all()}
            # A read that began later may have ended earlier: what it saw is newer.
            if number > self._read_number:
                self._rows, self._read_number = rows, number
        return self._rows

    async def _keep(self, provider_id: str, models: Sequence[ListedModel]) -> None:
        """Make rows of what is new in a list, and renew the profiles that changed."""
        rows = await self._registry(anew=True)
        changed = [model for model in models if _is_news(rows, provider_id, model)]
        if not changed:
            return
        at = self.clock()
        async with self.db.transaction() as tx:
            await tx.models.put(
                provider_id, changed, is_active=not self.new_models_hidden, listed_at=at, at=at
            )
        await self._registry(anew=True)

    def _on_offer(self, listing: Listing, rows: Mapping[str, Model]) -> list[Model]:
        id = listing.provider.id
        listed = [rows.get(model_name(id, name)) for name in listing.names or ()]
        added = [row for row in rows.values() if row.provider_id == id and row.listed_at is None]
        return [row for row in (*listed, *added) if row is not None and row.is_active]

    def _find(self, rows: Mapping[str, Model], name: str) -> ResolvedModel | None:
        """Return a model that is on offer: active, of a provider that is there."""
        row = rows.get(name)
        if row is None or not row.is_active:
            return None
        provider = self.providers.get(row.provider_id)
        return None if provider is None else ResolvedModel(provider, row)

    async def _named(self, name: str) -> ResolvedModel:
        rows = await self._registry()
        if (found := self._find(rows, name)) is not None:
            return found
        listing = self._listings.get(name.partition("/")[0])
        if listing is None or name in rows:
            raise _no_model(name)
        await listing.refresh()
        if (found := self._find(await self._registry(), name)) is not None:
            return found
        if listing.names is not None:
            raise _no_model(name)
        error = listing.error or listing.silence()
        if error.kind in _SILENT:
            raise error
        if self.new_models_hidden:
            raise _no_model(name)
        return ResolvedModel(listing.provider, self._without_row(name))

    async def _first(self, provider_id: str | None) -> ResolvedModel:
        """Return the first text model of a provider, or of the first one that has any."""
        if provider_id:
            listings = [self._listing(provider_id)]
        else:
            listings = sorted(
                self._listings.values(), key=lambda listing: listing.provider.id == DEMO
            )
            for listing in listings:
                listing.touch()  # all at once, so that the wait is that for the slowest
        for listing in listings:
            await listing.ensure()
            for row in self._on_offer(listing, await self._registry()):
                if row.profile.type is ModelType.TEXT:
                    return ResolvedModel(listing.provider, row)
        if provider_id and listings[0].names is None:
            raise listings[0].error or listings[0].silence()
        raise DomainError("There is no model to ask.", kind=ErrorKind.MODEL_NOT_FOUND)

    async def _stored(self, name: str) -> ResolvedModel:
        listing = self._listing(name.partition("/")[0])
        row = (await self._registry()).get(name)
        return ResolvedModel(listing.provider, row or self._without_row(name))

    def _without_row(self, name: str) -> Model:
        return Model(
            id=0,
            name=name,
            label=name.partition("/")[2],
            profile=ModelProfile(),
            is_active=1,
            listed_at=None,
            created_at=self.clock(),
        )


def _full_name(provider_id: str | None, model: str) -> str:
    if provider_id:
        return model_name(provider_id, model)
    return model_name(DEMO, DEMO) if model == DEMO else model


def _is_news(rows: Mapping[str, Model], provider_id: str, model: ListedModel) -> bool:
    row = rows.get(model_name(provider_id, model.name))
    return row is None or row.listed_at is None or row.profile != model.profile


def _no_model(name: str) -> DomainError:
    return DomainError(f"There is no model {name}.", kind=ErrorKind.MODEL_NOT_FOUND)


def _listed(listing: Listing, models: Sequence[Model]) -> ListedProvider:
    error = listing.error
    if error is None and listing.names is None:
        error = listing.silence()
    return ListedProvider(
        id=listing.provider.id,
        name=listing.provider.name,
        capabilities=listing.provider.capabilities,
        models=models,
        error=None if error is None else error.message,
    )
