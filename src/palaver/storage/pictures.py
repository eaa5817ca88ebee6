"""Pictures in the database: what is known of each; the files lie below the data directory."""

from collections.abc import Iterable
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
_KNOWN_SQL: Final = "select uuid from images where uuid in {uuids}"
_KNOWN: Final = Statement(
    row=str,
    sqlite=_KNOWN_SQL.replace("{uuids}", "(select value from json_each(:uuids))"),
    postgresql=_KNOWN_SQL.replace(
        "{uuids}", "(select json_array_elements_text(cast(:uuids as json)))"
    ),
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

    async def known(self, uuids: Iterable[str]) -> set[str]:
        """Return those that there are."""
        listed = msgspec.json.encode(list(uuids)).decode()
        return set(await self._connection.all(_KNOWN, uuids=listed))
