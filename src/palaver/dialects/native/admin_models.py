"""The chapter "Models"."""

from palaver.dialects.native import catalogue_wire, wire
from palaver.domain.cursors import LIMIT
from palaver.web.call import Call


async def list_(
    call: Call, *, cursor: str | None = None, limit: wire.Limit = LIMIT
) -> catalogue_wire.Models:
    """List the registry, oldest first. Contract: "List Models"."""
    found = await call.services.registry.list(call.actor, cursor=cursor, limit=limit)
    return catalogue_wire.Models.of(found)


async def create(call: Call, body: catalogue_wire.ModelCreate) -> catalogue_wire.Model:
    """Add a model that its provider need not list. Contract: "Add Model"."""
    model = await call.services.registry.create(
        call.actor, body.model_id, body.change, provider_id=body.provider_id
    )
    return catalogue_wire.Model.of(model)


async def get(call: Call, model_id: int) -> catalogue_wire.Model:
    """Get a model. Contract: "Get Model"."""
    return catalogue_wire.Model.of(await call.services.registry.get(call.actor, model_id))


async def update(
    call: Call, model_id: int, body: catalogue_wire.ModelUpdate
) -> catalogue_wire.Model:
    """Change what is said of a model. Contract: "Update Model"."""
    model = await call.services.registry.update(call.actor, model_id, body.change)
    return catalogue_wire.Model.of(model)


async def delete(call: Call, model_id: int) -> None:
    """Remove a model that its provider has never listed. Contract: "Delete Model"."""
    await call.services.registry.delete(call.actor, model_id)
