"""Aliases: which model somebody means who asks by a name that is no `provider/name`."""

from collections.abc import Collection, Mapping
from typing import Final

from palaver.domain.aliases import ALIASES
from palaver.domain.errors import DomainError, ErrorKind, ProviderError
from palaver.domain.generations import Options
from palaver.domain.models import model_name
from palaver.domain.users import Actor
from palaver.services.models import DEMO, ModelService, ResolvedModel
from palaver.services.starting import Choice

_ANOTHER: Final = "PALAVER_MODEL_ALIASES may name another model for it."


class AliasService:
    """The six names of the `platform` contract, and those that the operator gave."""

    def __init__(
        self,
        models: ModelService,
        *,
        configured: Collection[str],
        given: Mapping[str, str],
        settings: Mapping[str, str],
    ) -> None:
        self.models = models
        self.configured = frozenset(configured)  # ids of providers that the operator has set up
        self.given = given  # name → `provider/name`, over our own
        self.settings = settings  # id of a provider → what an operator sets to have it

    async def choose(
        self, actor: Actor, name: str | None, *, options: Options | None = None
    ) -> Choice:
        """Return the model that a name stands for; without one the choice is left open.

        Raises `DomainError` (`MODEL_NOT_FOUND`: unknown, or nobody serves it, and the message names
        the setting that would help; `NOT_IN_PLAN`), `ProviderError` as `ModelService.choose` does.
        """
        options = options or Options()
        if name is None:
            return Choice(options=options)
        resolved = await self._resolved(actor, name)
        asked = None if name == resolved.model.name else name
        return Choice(model=resolved.model.name, options=options, asked_model=asked)

    async def _resolved(self, actor: Actor, name: str) -> ResolvedModel:
        """Return the first model of those that a name may stand for."""
        targets = await self._targets(actor, name)
        for target in targets:
            try:
                return await self.models.choose(actor, model=target)
            except DomainError as error:
                if error.kind is not ErrorKind.MODEL_NOT_FOUND or target == name:
                    raise
        message = f"{name} stands for {targets[0]} here, which there is not. {_ANOTHER}"
        raise DomainError(message, kind=ErrorKind.MODEL_NOT_FOUND)

    async def _targets(self, actor: Actor, name: str) -> list[str]:
        """Return what a name stands for: models of the first provider that is there."""
        if name in self.given:
            return [self._given(name)]
        if name not in ALIASES:
            return [name]
        for provider_id in dict.fromkeys(target.partition("/")[0] for target in ALIASES[name]):
            if await self._is_there(actor, provider_id):
                return [each for each in ALIASES[name] if each.startswith(f"{provider_id}/")]
        if not await self._is_anybody_there(actor):
            return [model_name(DEMO, DEMO)]
        raise self._nobody_serves(name)

    def _given(self, name: str) -> str:
        target = self.given[name]
        provider_id = target.partition("/")[0]
        if provider_id not in self.models.providers:
            message = f"PALAVER_MODEL_ALIASES sends {name} to {provider_id}: no provider of ours."
            raise DomainError(message, kind=ErrorKind.MODEL_NOT_FOUND)
        return target

    async def _is_there(self, actor: Actor, provider_id: str) -> bool:
        """Tell whether a provider is set up, or was guessed to be there and does answer."""
        if provider_id in self.configured:
            return True
        if provider_id not in self.models.providers:
            return False
        try:
            return bool(await self.models.list_models(actor, provider_id))
        except ProviderError:
            return False

    async def _is_anybody_there(self, actor: Actor) -> bool:
        others = [id for id in self.models.providers if id != DEMO]
        return bool(self.configured) or any([await self._is_there(actor, id) for id in others])

    def _nobody_serves(self, name: str) -> DomainError:
        helping = dict.fromkeys(target.partition("/")[0] for target in ALIASES[name])
        settings = " or ".join(self.settings[id] for id in helping if id in self.settings)
        message = f"Nobody serves {name} here: set {settings}. {_ANOTHER}"
        return DomainError(message, kind=ErrorKind.MODEL_NOT_FOUND)
