"""The chapter "AI Models"."""

from palaver.dialects.subscriptions import wire
from palaver.web.call import Call


async def list_(
    call: Call, *, limit: wire.Limit = wire.LIST_LIMIT, before: wire.ItemId | None = None
) -> list[wire.AiModel]:
    """List the models that one may ask, newest first. Contract: "List Available AI Models"."""
    models = await call.services.models.list_visible(call.actor)
    page = wire.newest(models, limit=limit, before=before)
    return [wire.AiModel.of(model) for model in page]
