"""The shapes of the chapter "Webhooks", in their document's order."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from palaver.dialects.native.wire import Id, Time, render_time
from palaver.domain import webhooks
from palaver.domain.cursors import Stretch
from palaver.domain.webhook_payloads import payload
from palaver.domain.webhooks import (
    DESCRIPTION_MAX_LENGTH,
    URL_MAX_LENGTH,
    WebhookEventKind,
)

# The domain holds these rules; this tells of them.
Url: TypeAlias = Annotated[
    str,
    Meta(
        extra_json_schema={
            "minLength": 1,
            "maxLength": URL_MAX_LENGTH,
            "pattern": "^https?://",
            "format": "uri",
        }
    ),
]
Description: TypeAlias = Annotated[
    str, Meta(extra_json_schema={"maxLength": DESCRIPTION_MAX_LENGTH})
]
Events: TypeAlias = Annotated[list[WebhookEventKind], Meta(extra_json_schema={"minItems": 1})]
State: TypeAlias = Literal["pending", "delivered", "failed"]

_STATES: Final[dict[str, State]] = {
    "new": "pending",
    "retrying": "pending",
    "delivered": "delivered",
    "failed": "failed",
}


class WebhookCreate(Struct):
    """A new webhook."""

    url: Url
    events: Events
    description: Description = ""

    @property
    def new(self) -> webhooks.NewWebhook:
        """Return it in the domain's words."""
        return webhooks.NewWebhook(self.url, self.events, self.description)


class WebhookUpdate(Struct):
    """What is to change of a webhook."""

    url: Url | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET

    @property
    def change(self) -> webhooks.WebhookChange:
        """Return it in the domain's words."""
        return webhooks.WebhookChange(**asdict(self))


class Webhook(Struct, kw_only=True, gc=False):
    """A webhook of the administration; `disabled_reason` says why Palaver has turned it off."""

    id: Id
    url: str
    events: list[WebhookEventKind]
    description: str
    is_active: bool
    created_at: Time
    disabled_reason: str | None

    @classmethod
    def of(cls, endpoint: webhooks.WebhookEndpoint) -> "Webhook":
        """Render an endpoint."""
        return cls(**_fields(endpoint))


class Webhooks(Struct):
    """Webhooks, oldest first."""

    items: list[Webhook]
    next: str | None

    @classmethod
    def of(cls, found: Stretch[webhooks.WebhookEndpoint]) -> "Webhooks":
        """Render a stretch of the list."""
        return cls([Webhook.of(endpoint) for endpoint in found.items], found.next)


class WebhookSecret(Webhook, kw_only=True, gc=False):
    """A webhook with its secret, which is not shown again."""

    secret: str

    @classmethod
    def shown(cls, endpoint: webhooks.WebhookEndpoint, secret: str) -> "WebhookSecret":
        """Render an endpoint that has a new secret."""
        return cls(**_fields(endpoint), secret=secret)


def _fields(endpoint: webhooks.WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": endpoint.uuid,
        "url": endpoint.url,
        "events": list(endpoint.kinds),
        "description": endpoint.description,
        "is_active": bool(endpoint.is_active),
        "created_at": render_time(endpoint.created_at),
        "disabled_reason": endpoint.disabled_reason,
    }


class Attempt(Struct, gc=False):
    """One HTTP try: `error` says why it counts as failed, `answer` is how its body began."""

    number: int
    at: Time
    duration_ms: int
    headers: dict[str, str]
    status: int | None
    error: str | None
    answer: str

    @classmethod
    def of(cls, attempt: webhooks.DeliveryAttempt) -> "Attempt":
        """Render a try."""
        return cls(
            attempt.number,
            render_time(attempt.at),
            attempt.duration_ms,
            msgspec.json.decode(attempt.headers),
            attempt.status,
            attempt.error,
            attempt.answer,
        )


class Payload(Struct):
    """What is sent, without what people wrote: administrators do not read it here."""

    event: WebhookEventKind
    timestamp: Time
    data: dict[str, Any]


class Delivery(Struct):
    """An event to a webhook, with every try, the first one first."""

    id: Id
    event_id: str
    event: WebhookEventKind
    state: State
    payload: Payload
    attempts: list[Attempt]
    next_attempt_at: Time | None
    created_at: Time
    finished_at: Time | None

    @classmethod
    def of(cls, delivery: webhooks.Delivery) -> "Delivery":
        """Render a delivery."""
        event = delivery.event
        finished_at = delivery.finished_at
        next_at = None if finished_at is not None else max(delivery.due_at, delivery.begun_at)
        return cls(
            event.uuid,
            event.message_id,
            WebhookEventKind(event.kind),
            _STATES[delivery.state],
            msgspec.json.decode(payload(event, has_text=False), type=Payload),
            [Attempt.of(attempt) for attempt in delivery.attempts],
            None if next_at is None else render_time(next_at),
            render_time(event.created_at),
            None if finished_at is None else render_time(finished_at),
        )


class Deliveries(Struct):
    """Deliveries, newest first."""

    items: list[Delivery]
    next: str | None

    @classmethod
    def of(cls, found: Stretch[webhooks.Delivery]) -> "Deliveries":
        """Render a stretch of the list."""
        return cls([Delivery.of(delivery) for delivery in found.items], found.next)


class Since(Struct):
    """From when on everything is sent again, or what failed alone."""

    since: datetime
    failed_only: bool = False


class Redelivered(Struct):
    """How many are sent again."""

    redelivered: int
