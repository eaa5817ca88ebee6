"""The chapter "API keys"."""

from palaver.dialects.native import account_wire as wire
from palaver.dialects.native.admin_wire import parse_time
from palaver.dialects.native.wire import Limit
from palaver.domain.cursors import LIMIT
from palaver.web.binding import Uuid
from palaver.web.call import Call


async def list_(call: Call, *, cursor: str | None = None, limit: Limit = LIMIT) -> wire.Keys:
    """List one's own keys, newest first. Contract: "List API Keys"."""
    return wire.Keys.of(await call.services.api_keys.list(call.actor, cursor=cursor, limit=limit))


async def create(call: Call, body: wire.KeyCreate) -> wire.NewKey:
    """Make a key. Contract: "Create API Key"."""
    made = await call.services.api_keys.create(
        call.actor, name=body.name, scopes=body.scopes, expires_at=parse_time(body.expires_at)
    )
    return wire.NewKey.of(made)


async def revoke(call: Call, key_id: Uuid) -> None:
    """Make a key useless at once. Contract: "Revoke API Key"."""
    await call.services.api_keys.revoke(call.actor, key_id)
