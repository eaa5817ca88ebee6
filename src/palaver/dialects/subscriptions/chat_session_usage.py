"""The chapter "Chat Session Usage"."""

from palaver.dialects.subscriptions import wire
from palaver.web.call import Call


async def list_(
    call: Call, *, limit: wire.Limit = wire.LIST_LIMIT, before: wire.ItemId | None = None
) -> list[wire.SessionUsage]:
    """List what each session has used, newest first. Contract: "List Chat Session Usage"."""
    rows = await call.services.usage.conversations(call.actor, limit=limit, before=before)
    return [wire.SessionUsage.of(row) for row in rows]
