"""The chapter "Providers"."""

from palaver.dialects.streaming import wire
from palaver.web.call import Call


async def list_(call: Call) -> list[wire.Provider]:
    """List the providers and their models. Contract: "List Providers"."""
    providers = await call.services.models.list_providers(call.actor)
    return [wire.Provider.of(provider) for provider in providers]


async def list_models(call: Call, provider_id: str) -> wire.Models:
    """List the models of a provider. Beyond the document."""
    models = await call.services.models.list_models(call.actor, provider_id)
    return wire.Models([wire.Model.of(model) for model in models])


async def check(call: Call, provider_id: str) -> wire.ProviderHealth:
    """Ask a provider whether it is well. Beyond the document."""
    health = await call.services.models.check(call.actor, provider_id)
    return wire.ProviderHealth(health.ok, health.detail)
