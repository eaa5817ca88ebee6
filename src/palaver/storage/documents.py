"""Documents in the database. Every read names the owner: not yours is not there."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from palaver.domain.documents import Document, Held
from palaver.domain.errors import NotFound
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_COLUMNS: Final = (
    "id, uuid, owner_id, title, mime_type, size_bytes, metadata, status, error, progress, chunks, "
    "embedded, embedder, created_at, updated_at"
)
_MINE: Final = "owner_id = :owner_id and deleted_at is null"
_ORDER: Final = "order by updated_at desc, id desc"


def _text(text: str) -> str:
    return text


_INSERT: Final = Statement(
    f"""insert into documents
        (uuid, owner_id, title, mime_type, size_bytes, metadata, status, created_at, updated_at)
    values (:uuid, :owner_id, :title, :content_type, :size_bytes, :metadata, 'pending', :at, :at)
    on conflict (uuid) do nothing returning {_COLUMNS}""",
    Document,
)
_FIND: Final = Statement(
    f"select {_COLUMNS} from documents where uuid = :uuid and {_MINE}", Document
)
_LIST: Final = Statement(
    f"select {_COLUMNS} from documents where {_MINE} {_ORDER} limit :limit offset :offset", Document
)
_LIST_AFTER: Final = Statement(
    f"""select {_COLUMNS} from documents
    where {_MINE} and (updated_at, id) < (cast(:at as bigint), cast(:id as bigint))
    {_ORDER} limit :limit""",
    Document,
)
_HELD: Final = Statement(
    f"select count(*), cast(coalesce(sum(size_bytes), 0) as bigint) from documents where {_MINE}",
    Held,
)
_DELETE: Final = Statement(
    f"update documents set deleted_at = :at where uuid = :uuid and {_MINE} returning id", int
)
# What is being read stays as it is: it will be new anyway.
_READ_ANEW: Final[Statement[None]] = Statement(
    f"""update documents set status = 'pending', error = null, progress = 0, tries = 0,
        leased_until = 0, updated_at = :at
    where id = :id and {_MINE} and status <> 'pending'"""
)
_FIND_DELETED: Final = Statement(
    "select uuid from documents where id = :id and deleted_at is not null {for_update}", _text
)
_REMOVE: Final[Statement[None]] = Statement(
    "delete from documents where id = :id and deleted_at is not null"
)
_KNOWN: Final = Statement(
    row=_text,
    sqlite="select uuid from documents where uuid in (select value from json_each(:uuids))",
    postgresql="""select uuid from documents
        where uuid in (select json_array_elements_text(cast(:uuids as json)))""",
)


class DocumentStore:
    """`documents`: a row each; what was deleted stays until its content is gone."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(
        self,
        *,
        uuid: str,
        owner_id: int,
        title: str,
        content_type: str,
        size_bytes: int,
        metadata: str | None,
        at: int,
    ) -> Document | None:
        """Insert a document that waits to be read; None where there is one with this uuid."""
        return await self._connection.one(
            _INSERT,
            uuid=uuid,
            owner_id=owner_id,
            title=title,
            content_type=content_type,
            size_bytes=size_bytes,
            metadata=metadata,
            at=at,
        )

    async def find(self, uuid: str, *, owner_id: int) -> Document | None:
        """Return the document with this uuid, if it is the owner's."""
        return await self._connection.one(_FIND, uuid=uuid, owner_id=owner_id)

    async def get(self, uuid: str, *, owner_id: int) -> Document:
        """Return it as `find` does. Raises `NotFound`."""
        document = await self.find(uuid, owner_id=owner_id)
        if document is None:
            raise NotFound("document")
        return document

    async def list(self, *, owner_id: int, limit: int, offset: int = 0) -> Sequence[Document]:
        """Return the newest first, from `offset` on."""
        return await self._connection.all(_LIST, owner_id=owner_id, limit=limit, offset=offset)

    async def list_after(
        self, at: int, id: int, *, owner_id: int, limit: int
    ) -> Sequence[Document]:
        """Return those behind the place of one that was last changed at `at` and has this id."""
        return await self._connection.all(_LIST_AFTER, owner_id=owner_id, at=at, id=id, limit=limit)

    async def held(self, *, owner_id: int) -> Held:
        """Return how much the owner keeps."""
        return await self._connection.one(_HELD, owner_id=owner_id) or Held(0, 0)

    async def read_anew(self, id: int, *, owner_id: int, at: int) -> None:
        """Let it be read again from its file, unless it is about to be."""
        await self._connection.run(_READ_ANEW, id=id, owner_id=owner_id, at=at)

    async def delete(self, uuid: str, *, owner_id: int, at: int) -> int:
        """Hide it everywhere at once, and return its id. Raises `NotFound`."""
        id = await self._connection.one(_DELETE, uuid=uuid, owner_id=owner_id, at=at)
        if id is None:
            raise NotFound("document")
        return id

    async def find_deleted(self, id: int) -> str | None:
        """Return the uuid of a document that was deleted, and hold its row."""
        return await self._connection.one(_FIND_DELETED, id=id)

    async def remove(self, id: int) -> None:
        """Remove the row of a deleted document, and what still hangs on it."""
        await self._connection.run(_REMOVE, id=id)

    async def known(self, uuids: Iterable[str]) -> set[str]:
        """Return which of these there are, deleted ones whose content is not gone included."""
        listed = msgspec.json.encode(list(uuids)).decode()
        return set(await self._connection.all(_KNOWN, uuids=listed))
