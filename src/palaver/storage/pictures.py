"""Pictures in the database: what is known of each; the files lie below the data directory."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from palaver.domain.pictures import Picture
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_COLUMNS: Final = (
    "id, uuid, owner_id, name, media_type, size_bytes, width, height, message_id, created_at"
)
_SHOWN: Final = """(message_id is null or exists (
        select 1 from messages m join conversations c on c.id = m.conversation_id
        where m.id = images.message_id and m.deleted_at is null and c.deleted_at is null))"""

_INSERT: Final = Statement(
    f"""insert into images (uuid, owner_id, name, media_type, size_bytes, width, height,
        message_id, created_at)
    values (:uuid, :owner_id, :name, :media_type, :size_bytes, :width, :height, :message_id,
        :created_at)
    on conflict (uuid) do nothing returning {_COLUMNS}""",
    Picture,
)
_FIND: Final = Statement(
    f"""select {_COLUMNS} from images
    where name = :name and owner_id = :owner_id and {_SHOWN}""",
    Picture,
)
_KNOWN: Final = Statement("select uuid from images where uuid {in_texts uuids}", str)
_DELETE: Final = Statement(
    """delete from images where uuid = :uuid and owner_id = :owner_id and message_id is null
    returning uuid""",
    str,
)
_BY_UUID: Final = Statement(
    f"""select {_COLUMNS} from images
    where uuid = :uuid and owner_id = :owner_id and {_SHOWN}""",
    Picture,
)
_COUNT_UNSENT: Final = Statement(
    "select count(*) from images where owner_id = :owner_id and message_id is null", int
)
_FREE: Final = Statement(
    f"""select {_COLUMNS} from images
    where uuid {{in_texts uuids}} and owner_id = :owner_id and (
        message_id is null or message_id = cast(:message_id as bigint)) {{for_update}}""",
    Picture,
)
_GIVE: Final[Statement[None]] = Statement(
    "update images set message_id = :message_id where uuid {in_texts uuids}"
)
_MOVE: Final[Statement[None]] = Statement(
    "update images set message_id = :message_id where message_id = :former_id"
)
_FORGET_UNSENT: Final = Statement(
    """delete from images where id in (
        select id from images where message_id is null and created_at < :before
        order by owner_id, created_at limit :limit)
    returning uuid""",
    str,
)


class PictureStore:
    """`images`: a row each; a file that no row knows is swept."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(self, picture: Picture) -> Picture | None:
        """Store a picture whose file is there; None where there is one with this uuid."""
        values = msgspec.structs.asdict(picture)
        del values["id"]
        return await self._connection.one(_INSERT, **values)

    async def find(self, name: str, *, owner_id: int) -> Picture | None:
        """Return the owner's picture, unless what it belongs to was deleted."""
        return await self._connection.one(_FIND, name=name, owner_id=owner_id)

    async def get(self, uuid: str, *, owner_id: int) -> Picture | None:
        """Return the owner's picture, unless what it belongs to was deleted."""
        return await self._connection.one(_BY_UUID, uuid=uuid, owner_id=owner_id)

    async def count_unsent(self, *, owner_id: int) -> int:
        """Return how many pictures the owner has given and not sent."""
        return await self._connection.one(_COUNT_UNSENT, owner_id=owner_id) or 0

    async def free(
        self, uuids: Iterable[str], *, owner_id: int, of_message_id: int | None = None
    ) -> Sequence[Picture]:
        """Return those of the owner's that belong to no message, or to that one.

        Nobody else takes them until the end.
        """
        listed = msgspec.json.encode(list(uuids)).decode()
        return await self._connection.all(
            _FREE, uuids=listed, owner_id=owner_id, message_id=of_message_id
        )

    async def give(self, uuids: Iterable[str], *, message_id: int) -> None:
        """Let pictures belong to a message."""
        listed = msgspec.json.encode(list(uuids)).decode()
        await self._connection.run(_GIVE, uuids=listed, message_id=message_id)

    async def move(self, former_id: int, *, message_id: int) -> None:
        """Let the pictures of a message belong to what takes its place."""
        await self._connection.run(_MOVE, former_id=former_id, message_id=message_id)

    async def delete(self, uuid: str, *, owner_id: int) -> bool:
        """Remove the owner's picture that was not sent; False where there is none."""
        return await self._connection.one(_DELETE, uuid=uuid, owner_id=owner_id) is not None

    async def forget_unsent(self, *, before: int, limit: int) -> int:
        """Remove pictures that were given before an instant and never sent; return how many."""
        return len(await self._connection.all(_FORGET_UNSENT, before=before, limit=limit))

    async def known(self, uuids: Iterable[str]) -> set[str]:
        """Return those that there are."""
        listed = msgspec.json.encode(list(uuids)).decode()
        return set(await self._connection.all(_KNOWN, uuids=listed))
