"""The chapter "Webhooks": those of the administration, which every administrator has."""

from palaver.dialects.native import admin_webhooks_wire, wire
from palaver.dialects.native.admin_wire import parse_time
from palaver.domain.cursors import LIMIT
from palaver.web.binding import Uuid
from palaver.web.call import Call


async def list_(
    call: Call, *, cursor: str | None = None, limit: wire.Limit = LIMIT
) -> admin_webhooks_wire.Webhooks:
    """List the administration's webhooks, oldest first. Contract: "List Webhooks"."""
    found = await call.services.webhooks.list(
        call.actor, cursor=cursor, limit=limit, of_administration=True
    )
    return admin_webhooks_wire.Webhooks.of(found)


async def create(
    call: Call, body: admin_webhooks_wire.WebhookCreate
) -> admin_webhooks_wire.WebhookSecret:
    """Subscribe an address; its secret is shown this once. Contract: "Create Webhook"."""
    endpoint, secret = await call.services.webhooks.create(
        call.actor, body.new, of_administration=True
    )
    return admin_webhooks_wire.WebhookSecret.shown(endpoint, secret)


async def get(call: Call, webhook_id: Uuid) -> admin_webhooks_wire.Webhook:
    """Get a webhook. Contract: "Get Webhook"."""
    endpoint = await call.services.webhooks.get(call.actor, webhook_id, of_administration=True)
    return admin_webhooks_wire.Webhook.of(endpoint)


async def update(
    call: Call, webhook_id: Uuid, body: admin_webhooks_wire.WebhookUpdate
) -> admin_webhooks_wire.Webhook:
    """Change a webhook, turn it off or on again. Contract: "Update Webhook"."""
    endpoint = await call.services.webhooks.update(
        call.actor, webhook_id, body.change, of_administration=True
    )
    return admin_webhooks_wire.Webhook.of(endpoint)


async def delete(call: Call, webhook_id: Uuid) -> None:
    """Remove a webhook. Contract: "Delete Webhook"."""
    await call.services.webhooks.delete(call.actor, webhook_id, of_administration=True)


async def rotate_secret(call: Call, webhook_id: Uuid) -> admin_webhooks_wire.WebhookSecret:
    """Make a new secret; for a day the former one signs as well. Contract: "Rotate Secret"."""
    endpoint, secret = await call.services.webhooks.rotate(
        call.actor, webhook_id, of_administration=True
    )
    return admin_webhooks_wire.WebhookSecret.shown(endpoint, secret)


async def list_deliveries(
    call: Call, webhook_id: Uuid, *, cursor: str | None = None, limit: wire.Limit = LIMIT
) -> admin_webhooks_wire.Deliveries:
    """List what was and is to be sent, newest first. Contract: "List Deliveries"."""
    found = await call.services.webhooks.deliveries_by_cursor(
        call.actor, webhook_id, cursor=cursor, limit=limit, of_administration=True
    )
    return admin_webhooks_wire.Deliveries.of(found)


async def redeliver(
    call: Call, webhook_id: Uuid, delivery_id: Uuid
) -> admin_webhooks_wire.Delivery:
    """Send an event again, with the same id. Contract: "Redeliver One"."""
    delivery = await call.services.webhooks.redeliver(
        call.actor, webhook_id, delivery_id, of_administration=True
    )
    return admin_webhooks_wire.Delivery.of(delivery)


async def redeliver_since(
    call: Call, webhook_id: Uuid, body: admin_webhooks_wire.Since
) -> admin_webhooks_wire.Redelivered:
    """Send everything again since an instant. Contract: "Redeliver All"."""
    count = await call.services.webhooks.redeliver_since(
        call.actor,
        webhook_id,
        since=parse_time(body.since) or 0,
        failed_only=body.failed_only,
        of_administration=True,
    )
    return admin_webhooks_wire.Redelivered(count)
