"""The chapter "Webhooks"; its routes stand in decisions of ours."""

from palaver.dialects.platform import webhooks_wire, wire
from palaver.domain.cursors import LIMIT_MAX
from palaver.web.binding import Uuid
from palaver.web.call import Call


async def create(call: Call, body: webhooks_wire.WebhookCreate) -> webhooks_wire.WebhookSecret:
    """Subscribe an address; its secret is shown this once. Contract: "Webhooks"."""
    endpoint, secret = await call.services.webhooks.create(call.actor, body.new)
    return webhooks_wire.WebhookSecret.shown(endpoint, secret)


async def list_(call: Call) -> list[webhooks_wire.Webhook]:
    """List one's webhooks, oldest first. Contract: "Webhooks"."""
    found = await call.services.webhooks.list(call.actor, limit=LIMIT_MAX)
    return [webhooks_wire.Webhook.of(endpoint) for endpoint in found.items]


async def get(call: Call, webhook_id: Uuid) -> webhooks_wire.Webhook:
    """Return one webhook. Contract: "Webhooks"."""
    endpoint = await call.services.webhooks.get(call.actor, webhook_id)
    return webhooks_wire.Webhook.of(endpoint)


async def update(
    call: Call, webhook_id: Uuid, body: webhooks_wire.WebhookUpdate
) -> webhooks_wire.Webhook:
    """Change a webhook, turn it off or on again. Contract: "Webhooks"."""
    endpoint = await call.services.webhooks.update(call.actor, webhook_id, body.change)
    return webhooks_wire.Webhook.of(endpoint)


async def delete(call: Call, webhook_id: Uuid) -> wire.Notice:
    """Remove a webhook. Contract: "Webhooks"."""
    await call.services.webhooks.delete(call.actor, webhook_id)
    return wire.Notice("Webhook deleted successfully")


async def rotate_secret(call: Call, webhook_id: Uuid) -> webhooks_wire.WebhookSecret:
    """Make a new secret; for a day the former one signs as well. Contract: "Webhooks"."""
    endpoint, secret = await call.services.webhooks.rotate(call.actor, webhook_id)
    return webhooks_wire.WebhookSecret.shown(endpoint, secret)


async def list_deliveries(
    call: Call, webhook_id: Uuid, *, limit: wire.Limit = 50, offset: wire.Offset = 0
) -> list[webhooks_wire.Delivery]:
    """List what was and is to be sent, newest first. Contract: "Webhooks"."""
    page = await call.services.webhooks.deliveries(
        call.actor, webhook_id, limit=limit, offset=offset
    )
    return [webhooks_wire.Delivery.of(delivery) for delivery in page]


async def redeliver(call: Call, webhook_id: Uuid, delivery_id: Uuid) -> webhooks_wire.Delivery:
    """Send an event again, with the same id. Contract: "Webhooks"."""
    delivery = await call.services.webhooks.redeliver(call.actor, webhook_id, delivery_id)
    return webhooks_wire.Delivery.of(delivery)
