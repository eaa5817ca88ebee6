"""Models: what providers list, kept as rows, and which one a generation asks."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from palaver.domain.errors import DomainError, ErrorKind, NotFound, ProviderError
from palaver.domain.models import Model, ModelProfile, ModelType, model_name
from palaver.domain.providers import Capabilities, Provider
from palaver.domain.users import Actor
from palaver.kit.clock import Clock, system_clock
from palaver.kit.tasks import Tasks
from palaver.services.listings import Listing
from palaver.services.registry import Registry
from palaver.storage.database import Database

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
        self.registry = Registry(db, clock=clock, new_models_hidden=new_models_hidden)
        self._tasks = Tasks()
        self._listings = {
            id: Listing(provider, keep=self.registry.keep, tasks=self._tasks, clock=clock)
            for id, provider in providers.items()
        }

    async def close(self) -> None:
        """Stop asking providers; they stay open."""
        await self._tasks.cancel()

    async def warm(self, actor: Actor) -> None:
        """Ask every provider for its models, and wait for none of them."""
        actor.require_admin()
        for listing in self._listings.values():
            listing.touch()

    async def list_providers(self, actor: Actor) -> list[ListedProvider]:
        """Return all providers with the models that the caller may use.

        One that has never answered is waited for, 1.5 s at most; then it is listed without models,
        and `error` says why.
        """
        listings = self._listings.values()
        await asyncio.gather(*(listing.ensure() for listing in listings))
        rows = await self.registry.rows()
        visible = await self._visible(actor, rows.values())
        return [_listed(listing, _on_offer(listing, visible)) for listing in listings]

    async def list_models(self, actor: Actor, provider_id: str) -> Sequence[Model]:
        """Return a provider's models that the caller may use: in its order, then the added ones.

        Raises `NotFound`, `ProviderError` where it has never answered.
        """
        listing = self._addressed(provider_id)
        await listing.ensure()
        visible = await self._visible(actor, (await self.registry.rows()).values())
        models = _on_offer(listing, visible)
        if listing.names is None and not models:
            raise listing.error or listing.silence()
        return models

    async def list_visible(self, actor: Actor) -> list[Model]:
        """Return the models of all providers that the caller may use, provider by provider.

        Of one that does not answer it is what it has ever listed.
        """
        listings = self._listings.values()
        await asyncio.gather(*(listing.ensure() for listing in listings))
        visible = await self._visible(actor, (await self.registry.rows()).values())
        return [
            model
            for listing in listings
            for model in (
                _on_offer(listing, visible)
                if listing.names is not None
                else [row for row in visible.values() if row.provider_id == listing.provider.id]
            )
        ]

    async def check(self, actor: Actor, provider_id: str) -> ProviderHealth:  # noqa: ARG002  # every use case names its caller
        """Ask a provider now. Raises `NotFound`."""
        listing = self._addressed(provider_id)
        try:
            await listing.ask(timeout_seconds=CHECK_SECONDS)
        except ProviderError as error:
            return ProviderHealth(ok=False, detail=error.message)
        count = len(listing.names or ())
        return ProviderHealth(ok=True, detail=f"{count} model{'' if count == 1 else 's'} listed.")

    async def choose(
        self,
        actor: Actor,
        *,
        provider_id: str | None = None,
        model: str | None = None,
        conversation_model: str | None = None,
        type: ModelType = ModelType.TEXT,
    ) -> ResolvedModel:
        """Find the model that a generation asks, in the registry; the network is not touched.

        `model` is the provider's own name beside `provider_id`, else `provider/name`, or `demo`.
        Without one: the conversation's, as long as it is on offer; else, of what the caller's plan
        holds, the default of the settings; else the first model of the first provider that answers,
        the demo's last; of `provider_id` alone where that is given. All these make what `type`
        says; a model that is named makes what it makes.

        Only what the registry does not know is asked of its provider, which may have begun to
        serve it a moment ago: for 1.5 s at most, once in 2 s. A provider that answers, and does
        not list it, does not have it. One that answers but cannot list models at all is taken at
        the caller's word, unless new models are hidden. One that does not answer is what failed.

        Raises `DomainError`: `PROVIDER_NOT_FOUND`, `MODEL_NOT_FOUND` (unknown or inactive),
        `NOT_IN_PLAN`; `ProviderError` where nothing is known because the provider does not answer.
        """
        if provider_id:
            self._listing(provider_id)
        if model:
            return await self._allowed(actor, await self._named(_full_name(provider_id, model)))
        prefix = f"{provider_id}/" if provider_id else ""
        if conversation_model and conversation_model.startswith(prefix):
            known = self._find(await self.registry.rows(), conversation_model)
            if known is not None and known.model.model_type is type:
                return await self._allowed(actor, known)
        if self.default_model and self.default_model.startswith(prefix):
            default = await self._named(_full_name(None, self.default_model))
            if default.model.model_type is type and await self._may_use(actor, default.model):
                return default
        return await self._first(actor, provider_id, type)

    async def stored(self, actor: Actor, name: str) -> ResolvedModel:  # noqa: ARG002  # see above
        """Return the model of a run that goes on: it need not be on offer any more.

        Raises `DomainError` (`PROVIDER_NOT_FOUND`).
        """
        listing = self._listing(name.partition("/")[0])
        row = (await self.registry.rows()).get(name)
        return ResolvedModel(listing.provider, row or self._without_row(name))

    async def describe(
        self, actor: Actor, names: Iterable[str | None]
    ) -> Mapping[str | None, Model]:
        """Return the models of conversations, whether or not they are on offer (any more).

        For None it is the one that would be asked by default. One without a row has the id 0.
        """
        rows = await self.registry.rows()
        return {
            name: await self._default(actor)
            if name is None
            else rows.get(name) or self._without_row(name)
            for name in set(names)
        }

    async def _default(self, actor: Actor) -> Model:
        try:
            return (await self.choose(actor)).model
        except DomainError:  # nobody to ask, just now: it is a name, not a promise
            name = _full_name(None, self.default_model or DEMO)
            return (await self.registry.rows()).get(name) or self._without_row(name)

    async def _visible(self, actor: Actor, models: Iterable[Model]) -> dict[str, Model]:
        """Return, by name, what is active and open to all or in the caller's plan.

        The plan is looked up only where that decides. Palaver itself sees everything.
        """
        active = [model for model in models if model.is_active]
        if actor.user_id is None or all(model.open_to_all for model in active):
            return {model.name: model for model in active}
        async with self.db.read() as tx:
            linked = await tx.plans.model_ids(owner_id=actor.user_id, at=self.clock())
        mine = frozenset(linked)
        return {model.name: model for model in active if model.open_to_all or model.id in mine}

    async def _may_use(self, actor: Actor, model: Model) -> bool:
        return bool(model.open_to_all) or bool(await self._visible(actor, (model,)))

    async def _allowed(self, actor: Actor, resolved: ResolvedModel) -> ResolvedModel:
        if not await self._may_use(actor, resolved.model):
            raise _not_in_plan(f"the model {resolved.model.name}")
        return resolved

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

    def _find(self, rows: Mapping[str, Model], name: str) -> ResolvedModel | None:
        """Return a model that is on offer: active, of a provider that is there."""
        row = rows.get(name)
        if row is None or not row.is_active:
            return None
        provider = self.providers.get(row.provider_id)
        return None if provider is None else ResolvedModel(provider, row)

    async def _named(self, name: str) -> ResolvedModel:
        rows = await self.registry.rows()
        if (found := self._find(rows, name)) is not None:
            return found
        listing = self._listings.get(name.partition("/")[0])
        if listing is None or name in rows:
            raise _no_model(name)
        await listing.refresh()
        if (found := self._find(await self.registry.rows(), name)) is not None:
            return found
        if listing.names is not None:
            raise _no_model(name)
        error = listing.error or listing.silence()
        if error.kind in _SILENT:
            raise error
        if self.new_models_hidden:
            raise _no_model(name)
        return ResolvedModel(listing.provider, self._without_row(name))

    async def _first(self, actor: Actor, provider_id: str | None, type: ModelType) -> ResolvedModel:
        """Return the first model of a type that a provider has, or the first one that has any."""
        if provider_id:
            listings = [self._listing(provider_id)]
        else:
            listings = sorted(
                self._listings.values(), key=lambda listing: listing.provider.id == DEMO
            )
            for listing in listings:
                listing.touch()  # all at once, so that the wait is that for the slowest
        has_some = False
        for listing in listings:
            await listing.ensure()
            on_offer = _on_offer(listing, await self.registry.rows())
            fitting = [row for row in on_offer if row.model_type is type and row.is_active]
            has_some = has_some or bool(fitting)
            if visible := await self._visible(actor, fitting):
                return ResolvedModel(listing.provider, next(iter(visible.values())))
        if provider_id and listings[0].names is None:
            raise listings[0].error or listings[0].silence()
        if has_some:
            raise _not_in_plan("any of the models")
        wanted = "to ask" if type is ModelType.TEXT else "that makes pictures"
        raise DomainError(f"There is no model {wanted}.", kind=ErrorKind.MODEL_NOT_FOUND)

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


def _on_offer(listing: Listing, models: Mapping[str, Model]) -> list[Model]:
    """Return what a provider lists now, in its order, then what was added to that."""
    id = listing.provider.id
    listed = [models.get(model_name(id, name)) for name in listing.names or ()]
    added = [row for row in models.values() if row.provider_id == id and row.listed_at is None]
    return [row for row in (*listed, *added) if row is not None]


def _not_in_plan(what: str) -> DomainError:
    return DomainError(f"Your plan does not include {what}.", kind=ErrorKind.NOT_IN_PLAN)


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
