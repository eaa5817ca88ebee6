"""Webhooks: addresses that are told what happened, and each telling with its tries.

Contract `platform`: "Webhooks". Signatures, tries and their meaning are those of the Standard
Webhooks specification (https://www.standardwebhooks.com).
"""

import base64
import enum
import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal, Protocol, TypeAlias

import msgspec
from msgspec import UNSET

from palaver.domain.checks import Change, Checks, Flag, Text
from palaver.domain.errors import Fault
from palaver.kit.clock import DAY, HOUR, MINUTE, SECOND

URL_MAX_LENGTH: Final = 2_048
DESCRIPTION_MAX_LENGTH: Final = 1_000
ENDPOINTS_MAX: Final = 20
"""Of one owner; the administration is one."""
SECRET_BYTES: Final = 32
SECRET_PREFIX: Final = "whsec_"  # noqa: S105  # the beginning of every secret
ROTATION: Final = DAY
"""So long after a rotation the former secret signs as well."""
RETRIES_AT_ONCE: Final = 3
"""Of one endpoint, beside the one first try."""
DISABLED_AFTER: Final = 5 * DAY
"""An endpoint that fails for so long is turned off."""
RETRY_AFTER_MAX: Final = 12 * HOUR
HOLD_MAX: Final = HOUR
"""The longest that an endpoint's `Retry-After` keeps everything else from it."""
ANSWER_MAX_LENGTH: Final = 1_000
"""Code points of an answer that the log keeps."""

GONE: Final = "It answered 410 Gone."
FAILED_FOR_LONG: Final = "It failed for five days."

_PAUSES: Final = (
    *(5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE),
    *(2 * HOUR, 5 * HOUR, 10 * HOUR, 12 * HOUR, 14 * HOUR, 14 * HOUR, 14 * HOUR),
)
TRIES_MAX: Final = len(_PAUSES) + 1
"""Over three days."""


class WebhookEventKind(enum.StrEnum):
    """What may be told; the order is stored as bits, so kinds are only ever appended."""

    CHAT_CREATED = "chat.created"
    CHAT_DELETED = "chat.deleted"
    MESSAGE_CREATED = "message.created"
    MEMORY_CREATED = "memory.created"
    DOCUMENT_UPLOADED = "document.uploaded"

    @property
    def bit(self) -> int:
        """Return its place in a set of kinds."""
        return _BITS[self]


KINDS: Final = tuple(WebhookEventKind)
_BITS: Final = {kind: 1 << place for place, kind in enumerate(KINDS)}
TEST_EVENT: Final = "webhook.test"
"""What `palaver webhook test` sends; nobody subscribes to it."""


def bits_of(kinds: Collection[WebhookEventKind]) -> int:
    """Return a set of kinds as it is stored."""
    return sum(kind.bit for kind in set(kinds))


class WebhookEndpoint(msgspec.Struct, frozen=True, gc=False):
    """A subscribed address; `owner_id` is None for one of the administration."""

    id: int
    uuid: str
    owner_id: int | None
    url: str
    events: int  # `bits_of` the kinds that it wants
    description: str
    is_active: int
    disabled_reason: str | None  # why Palaver turned it off; None where its owner did
    secret: str  # sealed
    former_secret: str | None  # sealed
    former_until: int | None
    failing_since: int | None  # None once a try succeeds
    held_until: int  # nothing is sent before
    created_at: int

    @property
    def kinds(self) -> tuple[WebhookEventKind, ...]:
        """Return what it wants to be told."""
        return tuple(kind for kind in KINDS if self.events & kind.bit)

    def is_spent(self, *, at: int) -> bool:
        """Tell whether it has failed for so long that it is turned off."""
        return self.failing_since is not None and at - self.failing_since >= DISABLED_AFTER


class NewWebhook(msgspec.Struct, frozen=True):
    """What somebody subscribes."""

    url: str
    events: Sequence[WebhookEventKind]
    description: str = ""

    def checked(self) -> "NewWebhook":
        """Return it as it is stored. Raises `InvalidInput`; where it leads is not looked at."""
        checks = Checks()
        url = _checked_url(checks, self.url)
        _check_events(checks, self.events)
        description = checks.text(
            "description", self.description, max_length=DESCRIPTION_MAX_LENGTH
        )
        checks.end()
        return NewWebhook(url, self.events, description)


class WebhookChange(Change, frozen=True, kw_only=True):
    """What is to change of an endpoint."""

    url: Text = UNSET
    events: Sequence[WebhookEventKind] | msgspec.UnsetType = UNSET
    description: Text = UNSET
    is_active: Flag = UNSET

    def of(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        """Return the endpoint with it. Raises `InvalidInput`.

        Turned on (again), or led elsewhere, it begins anew: nothing is held against it.
        """
        checks = Checks()
        given = self.given
        if self.url is not UNSET:
            given["url"] = _checked_url(checks, self.url)
        if self.events is not UNSET:
            _check_events(checks, self.events)
            given["events"] = bits_of(self.events)
        if self.description is not UNSET:
            checks.text("description", self.description, max_length=DESCRIPTION_MAX_LENGTH)
        checks.end()
        if self.is_active is not UNSET:
            given["is_active"] = int(self.is_active)
        if self.is_active is True or given.get("url", endpoint.url) != endpoint.url:
            given |= {"failing_since": None, "held_until": 0}
        if self.is_active is not UNSET:
            given["disabled_reason"] = None
        return msgspec.structs.replace(endpoint, **given)


def _checked_url(checks: Checks, url: str) -> str:
    return checks.line("url", url, max_length=URL_MAX_LENGTH)


def _check_events(checks: Checks, events: Collection[WebhookEventKind]) -> None:
    if not events:
        message = f"Name at least one of: {', '.join(KINDS)}."
        checks.blame("events", Fault.BLANK, message, limit=1)


DeliveryState: TypeAlias = Literal["new", "retrying", "delivered", "failed"]
"""A literal and no enum: rows become deliveries without a conversion."""


class DeliveryAttempt(msgspec.Struct, frozen=True, gc=False):
    """One HTTP try, as the log has it."""

    delivery_id: int
    number: int  # from 1, anew with each redelivery
    at: int
    duration_ms: int
    headers: str  # those of the specification, as JSON
    status: int | None
    error: str | None  # None: it succeeded
    answer: str  # its beginning


class WebhookEvent(msgspec.Struct, frozen=True, gc=False):
    """What happened: `texts` are the fields of its data that people wrote, None once deleted."""

    uuid: str
    kind: str
    data: str  # JSON, as `texts`
    texts: str | None
    created_at: int

    @property
    def message_id(self) -> str:
        """Return what goes as `webhook-id`: the same one with every try."""
        return f"msg_{self.uuid.replace('-', '')}"


class Delivery(msgspec.Struct, frozen=True):
    """One event to one endpoint; its contract shows it by the uuid of the event."""

    id: int
    state: DeliveryState
    tries: int  # since it was begun
    due_at: int  # of the next try; 0: as soon as it is its turn
    begun_at: int
    finished_at: int | None
    event: WebhookEvent
    attempts: Sequence[DeliveryAttempt] = ()


class Answered(msgspec.Struct, frozen=True, gc=False):
    """What an endpoint said."""

    status: int
    text: str  # its beginning
    retry_after: str | None = None  # the header, as it came


class WebhookSender(Protocol):
    """Sends to addresses that users choose. Raises `ProviderError` and nothing else."""

    async def check(self, url: str) -> None:
        """Raise for an address to which nothing would be sent."""

    async def send(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answered:
        """Send a POST; a redirect is an answer like any other."""

    async def close(self) -> None:
        """Give up every connection."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What came of a try; without an `error` it succeeded."""

    error: str | None
    status: int | None = None
    answer: str = ""
    retry_after: int | None = None  # microseconds

    @classmethod
    def of(cls, answered: Answered, *, at: int) -> "Outcome":
        """Judge an answer: all but a 2xx is a failure."""
        status = answered.status
        error = None
        if status == 410:
            error = GONE
        elif 300 <= status < 400:
            error = f"It answered {status}. A redirect counts as a failure."
        elif not 200 <= status < 300:
            error = f"It answered {status}."
        text = answered.text[:ANSWER_MAX_LENGTH].replace("\0", "\ufffd")
        return cls(error, status, text, parse_retry_after(answered.retry_after, at=at))

    @property
    def is_gone(self) -> bool:
        """Tell whether the endpoint wants no more for good."""
        return self.status == 410

    def due_at(self, *, tries: int, at: int, spread: float) -> int | None:
        """Return when to try again after the `tries`-th try failed; None: never.

        `spread` is a random number around 1.
        """
        if self.is_gone or tries >= TRIES_MAX:
            return None
        pause = int(_PAUSES[tries - 1] * spread)
        return at + max(pause, min(self.retry_after or 0, RETRY_AFTER_MAX))

    def held_until(self, *, at: int) -> int:
        """Return until when nothing at all is sent to the endpoint, 0 where it asked for no rest.

        Who says "too many" or "unavailable" with a time means all requests.
        """
        if self.retry_after is None or self.status not in {429, 503}:
            return 0
        return at + min(self.retry_after, HOLD_MAX)


def parse_retry_after(given: str | None, *, at: int) -> int | None:
    """Return microseconds of a `Retry-After`, in seconds or as a date; None for nonsense."""
    text = (given or "").strip()
    if text.isascii() and text.isdigit():
        return int(text[:9]) * SECOND
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return max(0, int((until - datetime.fromtimestamp(at / SECOND, UTC)).total_seconds() * SECOND))


def new_signing_secret() -> str:
    """Return a secret as its owner gets it: `whsec_` and Base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed(event: WebhookEvent, body: bytes, *, secrets: Sequence[str], at: int) -> dict[str, str]:
    """Return the headers of one try: a signature by each secret, the newest first."""
    timestamp = str(at // SECOND)
    content = f"{event.message_id}.{timestamp}.".encode() + body
    signatures = [
        "v1,"
        + base64.b64encode(
            hmac.digest(
                base64.b64decode(secret.removeprefix(SECRET_PREFIX)), content, hashlib.sha256
            )
        ).decode()
        for secret in secrets
    ]
    return {
        "webhook-id": event.message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }
