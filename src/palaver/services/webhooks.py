"""Webhooks: subscribed, changed and removed by their owners; the administration is one of them."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from palaver.domain.cursors import LIMIT, LIMIT_MAX, Stretch, parse_cursor, parse_place
from palaver.domain.errors import (
    DomainError,
    ErrorKind,
    Fault,
    InvalidInput,
    NotFound,
    ProviderError,
)
from palaver.domain.users import Actor
from palaver.domain.webhooks import (
    ENDPOINTS_MAX,
    ROTATION,
    Delivery,
    NewWebhook,
    WebhookChange,
    WebhookEndpoint,
    WebhookSender,
    bits_of,
    new_signing_secret,
)
from palaver.kit.clock import DAY, SECOND, Clock, system_clock
from palaver.services.sealing import Sealer
from palaver.storage.database import Database, retrying
from palaver.storage.tx import Tx
from palaver.storage.webhooks import ADMINISTRATION

DELIVERIES_MAX: Final = 100
"""Of one answer: each has its tries."""
REDELIVERED_MAX: Final = 500
"""Deliveries that one transaction lets begin anew."""


class WebhookService:
    """One's own endpoints by their uuids; `of_administration`, those that every administrator has.

    Raises `DomainError` (`ADMIN_REQUIRED`) for those.
    """

    def __init__(
        self, db: Database, sender: WebhookSender, sealer: Sealer, *, clock: Clock = system_clock
    ) -> None:
        self.db = db
        self.sender = sender
        self.sealer = sealer
        self.clock = clock

    @retrying
    async def create(
        self, actor: Actor, new: NewWebhook, *, of_administration: bool = False
    ) -> tuple[WebhookEndpoint, str]:
        """Subscribe an address; return it with its secret, which is not shown again.

        Raises `InvalidInput`, `DomainError` (`QUOTA_EXCEEDED`).
        """
        owner_id = _owner(actor, of_administration)
        new = new.checked()
        await self._check_way(new.url)
        uuid = actor.uuid_for("webhook")
        secret = new_signing_secret()
        async with self.db.transaction() as tx:
            if owner_id != ADMINISTRATION:
                await tx.users.lock(owner_id)
            made = await tx.webhooks.find(uuid, owner_id=owner_id)
            if made is not None:  # a repeat, whose first answer was lost with its secret
                return made, self.sealer.open(made.secret, bound_to=uuid)
            if await tx.webhooks.count(owner_id=owner_id) >= ENDPOINTS_MAX:
                raise _full()
            endpoint = await tx.webhooks.insert(
                uuid=uuid,
                owner_id=owner_id,
                url=new.url,
                events=bits_of(new.events),
                description=new.description,
                secret=self.sealer.seal(secret, bound_to=uuid),
                at=self.clock(),
            )
        if endpoint is None:
            raise NotFound("webhook")
        return endpoint, secret

    async def get(
        self, actor: Actor, uuid: str, *, of_administration: bool = False
    ) -> WebhookEndpoint:
        """Return one endpoint. Raises `NotFound`."""
        owner_id = _owner(actor, of_administration)
        async with self.db.read() as tx:
            return await tx.webhooks.get(uuid, owner_id=owner_id)

    async def list(
        self,
        actor: Actor,
        *,
        cursor: str | None = None,
        limit: int = LIMIT,
        of_administration: bool = False,
    ) -> Stretch[WebhookEndpoint]:
        """Return endpoints, oldest first. Raises `InvalidInput` for the cursor."""
        owner_id = _owner(actor, of_administration)
        after, limit = parse_cursor(cursor, first=0), min(limit, LIMIT_MAX)
        async with self.db.read() as tx:
            found = await tx.webhooks.list(owner_id=owner_id, after=after, limit=limit + 1)
        return Stretch.of(found, limit=limit, id=lambda endpoint: endpoint.id)

    async def every(
        self, actor: Actor, *, cursor: str | None = None, limit: int = LIMIT
    ) -> Stretch[WebhookEndpoint]:
        """Return everybody's endpoints, oldest first. For the operator."""
        actor.require_admin()
        after, limit = parse_cursor(cursor, first=0), min(limit, LIMIT_MAX)
        async with self.db.read() as tx:
            found = await tx.webhooks.every(after=after, limit=limit + 1)
        return Stretch.of(found, limit=limit, id=lambda endpoint: endpoint.id)

    async def get_any(self, actor: Actor, uuid: str) -> WebhookEndpoint:
        """Return anybody's endpoint. For the operator. Raises `NotFound`."""
        actor.require_admin()
        async with self.db.read() as tx:
            endpoint = await tx.deliveries.endpoint_of(uuid)
        if endpoint is None:
            raise NotFound("webhook")
        return endpoint

    @retrying
    async def update(
        self, actor: Actor, uuid: str, change: WebhookChange, *, of_administration: bool = False
    ) -> WebhookEndpoint:
        """Change what is given. Raises `NotFound`, `InvalidInput`."""
        owner_id = _owner(actor, of_administration)
        async with self.db.read() as tx:
            changed = change.of(await tx.webhooks.get(uuid, owner_id=owner_id))
        if isinstance(change.url, str):
            await self._check_way(changed.url)
        async with self.db.transaction() as tx:
            changed = change.of(await tx.webhooks.lock(uuid, owner_id=owner_id))
            await tx.webhooks.save(changed)
        return changed

    async def delete(self, actor: Actor, uuid: str, *, of_administration: bool = False) -> None:
        """Remove an endpoint; nothing more is sent to it. Raises `NotFound`."""
        owner_id = _owner(actor, of_administration)
        async with self.db.transaction() as tx:
            await tx.webhooks.delete(uuid, owner_id=owner_id, at=self.clock())

    @retrying
    async def rotate(
        self, actor: Actor, uuid: str, *, of_administration: bool = False
    ) -> tuple[WebhookEndpoint, str]:
        """Return the endpoint with a new secret; for a day the former one signs as well.

        Raises `NotFound`.
        """
        owner_id = _owner(actor, of_administration)
        secret = new_signing_secret()
        async with self.db.transaction() as tx:
            endpoint = await tx.webhooks.lock(uuid, owner_id=owner_id)
            endpoint = replace(
                endpoint,
                secret=self.sealer.seal(secret, bound_to=uuid),
                former_secret=endpoint.secret,
                former_until=self.clock() + ROTATION,
            )
            await tx.webhooks.save(endpoint)
        return endpoint, secret

    async def deliveries(
        self,
        actor: Actor,
        uuid: str,
        *,
        limit: int = DELIVERIES_MAX,
        offset: int = 0,
        of_administration: bool = False,
    ) -> Sequence[Delivery]:
        """Return the newest first, from the `offset`-th on, at most 100. Raises `NotFound`."""
        owner_id = _owner(actor, of_administration)
        async with self.db.read(snapshot=True) as tx:
            endpoint = await tx.webhooks.get(uuid, owner_id=owner_id)
            return await tx.deliveries.list(
                endpoint.id, limit=min(limit, DELIVERIES_MAX), offset=offset
            )

    async def deliveries_by_cursor(
        self,
        actor: Actor,
        uuid: str,
        *,
        cursor: str | None = None,
        limit: int = DELIVERIES_MAX,
        of_administration: bool = False,
    ) -> Stretch[Delivery]:
        """Return the newest first, behind the cursor. Raises `NotFound`, `InvalidInput`."""
        owner_id = _owner(actor, of_administration)
        before, limit = parse_place(cursor), min(limit, DELIVERIES_MAX)
        async with self.db.read(snapshot=True) as tx:
            endpoint = await tx.webhooks.get(uuid, owner_id=owner_id)
            found = await tx.deliveries.list_before(endpoint.id, before, limit=limit + 1)
        return Stretch.by_place(
            found, limit=limit, place=lambda each: (each.event.created_at, each.id)
        )

    async def redeliver(
        self, actor: Actor, uuid: str, event_uuid: str, *, of_administration: bool = False
    ) -> Delivery:
        """Send an event again, with the same id. Raises `NotFound`, `DomainError` (`CONFLICT`)."""
        owner_id = _owner(actor, of_administration)
        async with self.db.transaction() as tx:
            endpoint = await _active(tx, uuid, owner_id)
            delivery = await _delivery(tx, endpoint, event_uuid)
            await tx.deliveries.redeliver(delivery.id, at=self.clock())
            return await _delivery(tx, endpoint, event_uuid)

    async def redeliver_since(
        self,
        actor: Actor,
        uuid: str,
        *,
        since: int,
        failed_only: bool = False,
        of_administration: bool = False,
    ) -> int:
        """Send everything again that happened since an instant; return how many.

        What still waits for its turn is left alone. Raises as `redeliver` does.
        """
        owner_id = _owner(actor, of_administration)
        after, total = (since, 0), 0
        while True:
            async with self.db.transaction() as tx:
                endpoint = await _active(tx, uuid, owner_id)
                begun = await tx.deliveries.redeliver_after(
                    endpoint.id,
                    after,
                    failed_only=failed_only,
                    at=self.clock(),
                    limit=REDELIVERED_MAX,
                )
            total += len(begun)
            if len(begun) < REDELIVERED_MAX:
                return total
            after = max(begun)

    async def _check_way(self, url: str) -> None:
        """Raise `InvalidInput` for an address to which nothing would be sent."""
        try:
            await self.sender.check(url)
        except ProviderError as error:
            raise InvalidInput.of("url", Fault.NOT_ALLOWED, error.message) from error


def _owner(actor: Actor, of_administration: bool) -> int:  # noqa: FBT001  # handed on as it came
    if of_administration:
        actor.require_admin()
        return ADMINISTRATION
    return actor.owner_id


async def _active(tx: Tx, uuid: str, owner_id: int) -> WebhookEndpoint:
    endpoint = await tx.webhooks.lock(uuid, owner_id=owner_id)
    if not endpoint.is_active:
        message = "This webhook is not active. Turn it on first."
        raise DomainError(message, kind=ErrorKind.CONFLICT)
    return endpoint


async def _delivery(tx: Tx, endpoint: WebhookEndpoint, event_uuid: str) -> Delivery:
    delivery = await tx.deliveries.find(endpoint.id, event_uuid)
    if delivery is None:
        raise NotFound("delivery")
    return delivery


def _full() -> DomainError:
    return DomainError(
        f"There are {ENDPOINTS_MAX} webhooks, which is the most. Delete one to make room.",
        kind=ErrorKind.QUOTA_EXCEEDED,
        retry_after_seconds=DAY // SECOND,  # no time helps: as limits of plans that never reset
    )
