"""What embedding reads of memories and chunks, and what it tells of documents."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from palaver.domain.search import SearchKind
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement
from palaver.storage.vectors import Lacking


class Text(msgspec.Struct, frozen=True, gc=False):
    """What is embedded for a ref: with a chunk go its document's title and its heading."""

    ref: int
    title: str
    heading: str
    text: str

    @property
    def whole(self) -> str:
        """Return it as one text."""
        above = " - ".join(dict.fromkeys(part for part in (self.title, self.heading) if part))
        return f"{above}\n\n{self.text}" if above else self.text


def _id(id: int) -> int:
    return id


def _part(id: int, count: int) -> tuple[int, int]:
    return id, count


_TEXTS: Final = {
    SearchKind.MEMORY: Statement(
        "select id, '', '', content from memories where id {in_numbers refs}", Text
    ),
    SearchKind.CHUNK: Statement(
        """select k.id, d.title, coalesce(k.heading, ''), k.text
        from chunks k join documents d on d.id = k.document_id
        where k.id {in_numbers refs} and d.deleted_at is null""",
        Text,
    ),
}
_PASS_OVER: Final[Statement[None]] = Statement(
    """update search_entries
    set space_id = (select id from vector_spaces where name = cast(:space as text))
    where kind = :kind and ref = :ref and owner_id = :owner_id and version = :version"""
)
_ADD_SPACE: Final[Statement[None]] = Statement(
    "insert into vector_spaces (name) values (:space) on conflict (name) do nothing"
)
_PARTS: Final = Statement(
    """select document_id, count(*) from chunks where id {in_numbers refs}
    group by document_id order by document_id""",
    _part,
)
_ADD: Final[Statement[None]] = Statement(
    """update documents set embedded = embedded + :count
    where id = :id and status = 'ready' and embedder = :space"""
)
_MISTAKEN: Final = Statement(
    """select id from documents where status = 'ready' and deleted_at is null
        and embedder is null
    union all
    select id from documents where status = 'ready' and deleted_at is null
        and (embedder < :space or embedder > :space)
    limit :limit""",
    _id,
)
_COUNT: Final[Statement[None]] = Statement(
    f"""update documents set embedder = :space, embedded = (
        select count(*) from chunks k join search_entries e
            on e.kind = {SearchKind.CHUNK:d} and e.ref = k.id
        where k.document_id = documents.id and e.space_id = (
            select id from vector_spaces where name = cast(:space as text)))
    where id = :id and status = 'ready'"""
)
_WITH_EMBEDDER: Final = Statement(
    """select id from documents where status = 'ready' and deleted_at is null
        and embedder is not null limit :limit""",
    _id,
)
_FORGET: Final[Statement[None]] = Statement(
    "update documents set embedder = null, embedded = 0 where id = :id"
)
_TAKE_TURN: Final = Statement(
    """insert into embedding_turns (id, holder, held_until) values (1, :holder, :until)
    on conflict (id) do update set holder = excluded.holder, held_until = excluded.held_until
        where embedding_turns.holder = excluded.holder or embedding_turns.held_until < :at
    returning id""",
    _id,
)
_END_TURN: Final[Statement[None]] = Statement(
    "update embedding_turns set held_until = 0 where id = 1 and holder = :holder"
)


class EmbeddingStore:
    """Texts on their way to vectors; a space is the `id` of an `Embedder`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def take_turn(self, holder: str, *, at: int, until: int) -> bool:
        """Let one of several workers embed; False where another does."""
        given = {"holder": holder, "at": at, "until": until}
        return await self._connection.one(_TAKE_TURN, **given) is not None

    async def end_turn(self, holder: str) -> None:
        """Let another worker go on at once."""
        await self._connection.run(_END_TURN, holder=holder)

    async def texts(self, kind: SearchKind, refs: Iterable[int]) -> dict[int, str]:
        """Return the texts behind refs, those that are still there."""
        listed = msgspec.json.encode(list(refs)).decode()
        rows = await self._connection.all(_TEXTS[kind], refs=listed)
        return {row.ref: row.whole for row in rows}

    async def pass_over(self, kind: SearchKind, texts: Sequence[Lacking], *, space: str) -> None:
        """Note that texts have no vector of this space, and will have none."""
        await self._connection.run(_ADD_SPACE, space=space)
        await self._connection.many(
            _PASS_OVER,
            [{"kind": int(kind), "space": space, **msgspec.structs.asdict(each)} for each in texts],
        )

    async def count(self, refs: Iterable[int], *, space: str, is_sure: bool) -> None:
        """Count chunks that were embedded in their documents.

        Unless it is sure that all of them were, what each document has is counted anew.
        """
        listed = msgspec.json.encode(list(refs)).decode()
        parts = await self._connection.all(_PARTS, refs=listed)
        if parts and is_sure:
            rows = [{"id": id, "count": count, "space": space} for id, count in parts]
            await self._connection.many(_ADD, rows)
        elif parts:
            await self._connection.many(_COUNT, [{"id": id, "space": space} for id, _ in parts])

    async def mistaken(self, *, space: str | None, limit: int) -> list[int]:
        """Return ids of documents that do not tell of this space; without one, of those of any."""
        if space is None:
            return await self._connection.all(_WITH_EMBEDDER, limit=limit)
        return await self._connection.all(_MISTAKEN, space=space, limit=limit)

    async def correct(self, ids: Iterable[int], *, space: str | None) -> None:
        """Let documents tell of this space, and how much of them it has.

        Without a space they tell of none; what is embedded stays, for when it is set up again.
        """
        statement = _FORGET if space is None else _COUNT
        named = {} if space is None else {"space": space}
        await self._connection.many(statement, [{"id": id, **named} for id in sorted(ids)])
