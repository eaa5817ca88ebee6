"""Endpoints in the database. Every read names the owner, 0 for the administration."""

from collections.abc import Sequence
from typing import Final

from palaver.domain.errors import NotFound
from palaver.domain.webhooks import WebhookEndpoint
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

ADMINISTRATION: Final = 0
"""Stands for the owner of what belongs to no user."""

COLUMNS: Final = ", ".join(WebhookEndpoint.__struct_fields__)
_MINE: Final = "coalesce(owner_id, 0) = :owner_id and deleted_at is null"


def _id(id: int) -> int:
    return id


_INSERT: Final = Statement(
    f"""insert into webhook_endpoints
        (uuid, owner_id, url, events, description, secret, created_at)
    values (:uuid, nullif(cast(:owner_id as bigint), 0), :url, :events, :description, :secret, :at)
    on conflict (uuid) do nothing returning {COLUMNS}""",
    WebhookEndpoint,
)
_FIND: Final = Statement(
    f"select {COLUMNS} from webhook_endpoints where uuid = :uuid and {_MINE}", WebhookEndpoint
)
_LOCK: Final = Statement(
    f"select {COLUMNS} from webhook_endpoints where uuid = :uuid and {_MINE} {{for_update}}",
    WebhookEndpoint,
)
_LIST: Final = Statement(
    f"""select {COLUMNS} from webhook_endpoints where {_MINE} and id > :after
    order by id limit :limit""",
    WebhookEndpoint,
)
_EVERY: Final = Statement(
    f"""select {COLUMNS} from webhook_endpoints where deleted_at is null and id > :after
    order by id limit :limit""",
    WebhookEndpoint,
)
_COUNT: Final = Statement(f"select count(*) from webhook_endpoints where {_MINE}", int)
_SAVE: Final[Statement[None]] = Statement(
    """update webhook_endpoints set url = :url, events = :events, description = :description,
        is_active = :is_active, disabled_reason = :disabled_reason, secret = :secret,
        former_secret = :former_secret, former_until = :former_until,
        failing_since = :failing_since, held_until = :held_until
    where id = :id"""
)
_DELETE: Final = Statement(
    f"""update webhook_endpoints set deleted_at = :at, is_active = 0
    where uuid = :uuid and {_MINE} returning id""",
    _id,
)
_DELETE_ALL: Final[Statement[None]] = Statement(
    f"update webhook_endpoints set deleted_at = {{now}}, is_active = 0 where {_MINE}"
)


class WebhookStore:
    """`webhook_endpoints` as their owners see them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(
        self,
        *,
        uuid: str,
        owner_id: int,
        url: str,
        events: int,
        description: str,
        secret: str,
        at: int,
    ) -> WebhookEndpoint | None:
        """Insert an endpoint; None where there is one with this uuid."""
        return await self._connection.one(
            _INSERT,
            uuid=uuid,
            owner_id=owner_id,
            url=url,
            events=events,
            description=description,
            secret=secret,
            at=at,
        )

    async def find(self, uuid: str, *, owner_id: int) -> WebhookEndpoint | None:
        """Return the owner's endpoint with this uuid."""
        return await self._connection.one(_FIND, uuid=uuid, owner_id=owner_id)

    async def get(self, uuid: str, *, owner_id: int) -> WebhookEndpoint:
        """Return it as `find` does. Raises `NotFound`."""
        return _there(await self.find(uuid, owner_id=owner_id))

    async def lock(self, uuid: str, *, owner_id: int) -> WebhookEndpoint:
        """Return it as `get` does, and hold its row."""
        endpoint = await self._connection.one(_LOCK, uuid=uuid, owner_id=owner_id)
        return _there(endpoint)

    async def list(self, *, owner_id: int, after: int, limit: int) -> Sequence[WebhookEndpoint]:
        """Return the owner's endpoints with ids above `after`, oldest first."""
        return await self._connection.all(_LIST, owner_id=owner_id, after=after, limit=limit)

    async def every(self, *, after: int, limit: int) -> Sequence[WebhookEndpoint]:
        """Return everybody's, likewise."""
        return await self._connection.all(_EVERY, after=after, limit=limit)

    async def count(self, *, owner_id: int) -> int:
        """Return how many the owner has."""
        return await self._connection.one(_COUNT, owner_id=owner_id) or 0

    async def save(self, endpoint: WebhookEndpoint) -> None:
        """Store what can change of an endpoint."""
        await self._connection.run(
            _SAVE,
            id=endpoint.id,
            url=endpoint.url,
            events=endpoint.events,
            description=endpoint.description,
            is_active=endpoint.is_active,
            disabled_reason=endpoint.disabled_reason,
            secret=endpoint.secret,
            former_secret=endpoint.former_secret,
            former_until=endpoint.former_until,
            failing_since=endpoint.failing_since,
            held_until=endpoint.held_until,
        )

    async def delete(self, uuid: str, *, owner_id: int, at: int) -> None:
        """Hide an endpoint; what hangs on it is purged in pieces. Raises `NotFound`."""
        if await self._connection.one(_DELETE, uuid=uuid, owner_id=owner_id, at=at) is None:
            raise NotFound("webhook")

    async def delete_all(self, *, owner_id: int) -> None:
        """Hide all endpoints of an owner, likewise."""
        await self._connection.run(_DELETE_ALL, owner_id=owner_id)


def _there(endpoint: WebhookEndpoint | None) -> WebhookEndpoint:
    if endpoint is None:
        raise NotFound("webhook")
    return endpoint
