"""What changed since it was indexed, and full text over titles and messages.

One tokenizer (`kit.words`) stands before each engine's own index. Memories and chunks are ranked by
any word, in postings of our own: `storage.postings`.

Whoever changes a text enqueues its ref in the same transaction. A fold moves many at once into the
index, and reads each text as it is then; so it does not matter who folds, how often, or when.

Every indexed word begins with its owner and kind (`17m_hello`): the postings of one word are one
user's, a common word or a short prefix costs what that user has written, and no rank tells about
others. SQLite keeps the kind in the high bits of the row id as well.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from palaver.domain.search import SearchKind
from palaver.kit.words import Phrase, Query
from palaver.storage.connection import Connection
from palaver.storage.postings import PostingStore
from palaver.storage.statements import Engine, Statement

TEXT_MAX: Final = 400_000  # code points of one text that are indexed
CANDIDATES_MAX: Final = 500  # hits of a kind that are ranked, newest first
_VECTOR_MAX_BYTES: Final = 900_000  # PostgreSQL refuses a tsvector of 1 MiB
_POSITIONS_MAX: Final = 255  # of one word in a tsvector
_REF_BITS: Final = 48
_LETTERS: Final = {
    SearchKind.TITLE: "t",
    SearchKind.MESSAGE: "m",
    SearchKind.MEMORY: "y",
    SearchKind.CHUNK: "c",
}


class Pending(msgspec.Struct, frozen=True, gc=False):
    """Something that changed since it was indexed; `text` is None where nothing is shown."""

    id: int
    owner_id: int
    kind: int
    ref: int
    text: str | None


class Entry(msgspec.Struct, frozen=True, gc=False):
    """The words of one ref, in order; none takes it out of the index."""

    owner_id: int
    kind: int
    ref: int
    words: Sequence[str]


class Found(msgspec.Struct, frozen=True, gc=False):
    """A title or a message that matches, best first."""

    kind: int
    conversation_uuid: str
    title: str | None
    message_uuid: str | None
    created_at: int
    text: str


def _id(id: int) -> int:
    return id


def _gone(id: int, ref: int) -> tuple[int, int]:
    return id, ref


_ENQUEUE: Final[Statement[None]] = Statement(
    "insert into search_pending (owner_id, kind, ref) values (:owner_id, :kind, :ref)"
)
_SHOWN_MESSAGE: Final = "m.deleted_at is null and m.is_hidden = 0 and c.deleted_at is null"
_TEXT: Final = f"""case p.kind
    when {SearchKind.TITLE:d} then (
        select c.title from conversations c where c.id = p.ref and c.deleted_at is null)
    when {SearchKind.MESSAGE:d} then (
        select substr(m.text, 1, {TEXT_MAX})
        from messages m join conversations c on c.id = m.conversation_id
        where m.id = p.ref and {_SHOWN_MESSAGE})
    when {SearchKind.MEMORY:d} then (
        select y.content from memories y where y.id = p.ref and y.owner_id = p.owner_id)
    when {SearchKind.CHUNK:d} then (
        select d.title || ' ' || coalesce(k.heading, '') || ' ' || k.text
        from chunks k join documents d on d.id = k.document_id
        where k.id = p.ref and k.owner_id = p.owner_id and d.deleted_at is null)
    end"""
_PENDING: Final = Statement(
    f"""select p.id, p.owner_id, p.kind, p.ref, {_TEXT}
    from search_pending p order by p.id limit :limit""",
    Pending,
)
_PENDING_OF: Final = Statement(
    f"""select p.id, p.owner_id, p.kind, p.ref, {_TEXT}
    from search_pending p
    where p.owner_id = :owner_id and p.kind {{in_numbers kinds}} order by p.id limit :limit""",
    Pending,
)
_GONE: Final = {
    kind: Statement(
        f"""select p.id, p.ref from search_pending p
        where p.owner_id = :owner_id and p.kind = {kind:d}
            and not exists (select 1 from {table} t where t.id = p.ref)
        order by p.id limit :limit""",
        _gone,
    )
    for kind, table in ((SearchKind.MEMORY, "memories"), (SearchKind.CHUNK, "chunks"))
}
_CLAIM: Final = Statement(
    row=_id,
    sqlite="""delete from search_pending where id in (select value from json_each(:ids))
        returning id""",
    # Locked in one order: two folds of the same rows wait for each other, and never crosswise.
    postgresql="""delete from search_pending where id in (
            select id from search_pending where id in (
                select value::bigint from json_array_elements_text(cast(:ids as json)))
            order by id for update)
        returning id""",
)
_PUT: Final[Statement[None]] = Statement(
    sqlite=f"""insert or replace into search_index (rowid, words)
        values (:kind << {_REF_BITS} | :ref, :words)""",
    postgresql="""insert into search_index (kind, ref, words)
        values (:kind, :ref, cast(:words as text)::tsvector)
        on conflict (kind, ref) do update set words = excluded.words""",
)
_REMOVE: Final[Statement[None]] = Statement(
    sqlite=f"delete from search_index where rowid = :kind << {_REF_BITS} | :ref",
    postgresql="delete from search_index where kind = :kind and ref = :ref",
)


# What of a candidate is shown, for the kinds that search looks for.
_TITLE_SHOWN: Final = f"""select {SearchKind.TITLE:d} as kind, c.uuid, c.title,
        null as message_uuid, c.created_at, c.title as text
    from conversations c
    where c.id = found.ref and c.owner_id = :owner_id and c.deleted_at is null"""
_MESSAGE_SHOWN: Final = f"""select {SearchKind.MESSAGE:d} as kind, c.uuid, c.title,
        m.uuid as message_uuid, m.created_at, m.text
    from messages m join conversations c on c.id = m.conversation_id
    where m.id = found.ref and c.owner_id = :owner_id and {_SHOWN_MESSAGE}"""


def _sqlite_candidates(kind: SearchKind, match: str) -> str:
    """Select the newest matches of a kind with their score: the lowest is the best."""
    first = kind << _REF_BITS
    return f"""select * from (
        select {kind:d} as kind, rowid - {first} as ref, bm25(search_index) as score
        from search_index where search_index match :{match}
        order by rowid desc limit {CANDIDATES_MAX})"""


def _postgresql_candidates(kind: SearchKind, match: str) -> str:
    """Select the newest matches of a kind with their score: the lowest is the best.

    Ordered by an expression, else the planner, which knows nothing of one user's words, walks the
    whole table backwards instead of using the index of words. Ranked after the limit.
    """
    query = f"cast(:{match} as text)::tsquery"
    return f"""select {kind:d} as kind, ref, (
            select -ts_rank(words, {query}, 1) from search_index ranked
            where ranked.kind = {kind:d} and ranked.ref = newest.ref) as score
        from (select ref from search_index where words @@ {query}
            order by ref + 0 desc limit {CANDIDATES_MAX}) newest"""


_FIND: Final = Statement(
    row=Found,
    sqlite=f"""
        select found.kind, c.uuid, c.title, m.uuid,
            coalesce(m.created_at, c.created_at), coalesce(m.text, c.title)
        from (
            {_sqlite_candidates(SearchKind.TITLE, "titles")}
            union all
            {_sqlite_candidates(SearchKind.MESSAGE, "messages")}
        ) found
        left join messages m on found.kind = {SearchKind.MESSAGE:d} and m.id = found.ref
            and m.deleted_at is null and m.is_hidden = 0
        join conversations c on c.owner_id = :owner_id and c.deleted_at is null
            and c.id = case found.kind
                when {SearchKind.TITLE:d} then found.ref else m.conversation_id end
        order by found.score, found.kind, found.ref desc limit :limit offset :offset""",
    # `offset 0` keeps each look-up one of its own: best first, until there are enough.
    postgresql=f"""
        select shown.* from (
            select * from (
                {_postgresql_candidates(SearchKind.TITLE, "titles")}
                union all
                {_postgresql_candidates(SearchKind.MESSAGE, "messages")}
            ) scored
            order by score, kind, ref desc
        ) found cross join lateral (
            {_TITLE_SHOWN} and found.kind = {SearchKind.TITLE:d}
            union all
            {_MESSAGE_SHOWN} and found.kind = {SearchKind.MESSAGE:d}
            offset 0
        ) shown
        order by found.score, found.kind, found.ref desc limit :limit offset :offset""",
    slow=True,
)


class SearchStore:
    """`search_pending` and `search_index`: what changed, and what can be found."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def enqueue(self, *, owner_id: int, kind: SearchKind, ref: int) -> None:
        """Say that the text behind `ref` changed, appeared or is gone."""
        await self._connection.run(_ENQUEUE, owner_id=owner_id, kind=int(kind), ref=ref)

    async def enqueue_all(self, *, owner_id: int, kind: SearchKind, refs: Iterable[int]) -> None:
        """Say the same of many refs of one owner and kind."""
        place = {"owner_id": owner_id, "kind": int(kind)}
        await self._connection.many(_ENQUEUE, [{**place, "ref": ref} for ref in refs])

    async def pending(self, *, limit: int) -> list[Pending]:
        """Return what waits to be folded, oldest first, with its text of now."""
        return await self._connection.all(_PENDING, limit=limit)

    async def pending_of(
        self, owner_id: int, kinds: Iterable[SearchKind], *, limit: int
    ) -> list[Pending]:
        """Return what of an owner's waits to be folded, oldest first."""
        listed = msgspec.json.encode([int(kind) for kind in kinds]).decode()
        return await self._connection.all(_PENDING_OF, owner_id=owner_id, kinds=listed, limit=limit)

    async def gone(self, owner_id: int, kind: SearchKind, *, limit: int) -> list[tuple[int, int]]:
        """Return what waits of an owner's memories or chunks that have no row: ids, and refs."""
        return await self._connection.all(_GONE[kind], owner_id=owner_id, limit=limit)

    async def claim(self, ids: Iterable[int]) -> set[int]:
        """Take pending rows for this fold; return those that nobody else had taken."""
        listed = msgspec.json.encode(list(ids)).decode()
        return set(await self._connection.all(_CLAIM, ids=listed))

    async def put(self, entries: Iterable[Entry]) -> None:
        """Put the words of each entry in the place of what its ref had."""
        render = _document if self._connection.engine is Engine.SQLITE else _vector
        gone = []
        rows = []
        for entry in entries:
            place = {"kind": entry.kind, "ref": entry.ref}
            if entry.words:
                rows.append(
                    {
                        **place,
                        "words": render(
                            _scope(entry.owner_id, SearchKind(entry.kind)), entry.words
                        ),
                    }
                )
            else:
                gone.append(place)
        if gone:
            await self._connection.many(_REMOVE, gone)
        if rows:
            await self._connection.many(_PUT, rows)

    async def remove(self, kind: SearchKind, refs: Iterable[int]) -> None:
        """Take refs out of the index; memories and chunks go with the next fold.

        Those cost about a millisecond each, and nobody is shown what is gone anyway.
        """
        if kind in (SearchKind.MEMORY, SearchKind.CHUNK):
            await PostingStore(self._connection).enqueue(kind, list(refs))
            return
        await self._connection.many(_REMOVE, [{"kind": int(kind), "ref": ref} for ref in refs])

    async def find(
        self, query: Query, *, owner_id: int, limit: int, offset: int = 0
    ) -> list[Found]:
        """Return the owner's titles and shown messages that hold every phrase, best first."""
        render = _fts5 if self._connection.engine is Engine.SQLITE else _tsquery
        return await self._connection.all(
            _FIND,
            titles=render(_scope(owner_id, SearchKind.TITLE), query.phrases),
            messages=render(_scope(owner_id, SearchKind.MESSAGE), query.phrases),
            owner_id=owner_id,
            limit=limit,
            offset=offset,
        )


def _scope(owner_id: int, kind: SearchKind) -> str:
    """Return the beginning of every word of one owner's texts of one kind."""
    return f"{owner_id}{_LETTERS[kind]}_"


def _document(scope: str, words: Sequence[str]) -> str:
    """Return the words as FTS5 takes them: it splits at spaces alone."""
    return scope + f" {scope}".join(words)


def _vector(scope: str, words: Sequence[str]) -> str:
    """Return the words as a tsvector literal, with their positions."""
    places: dict[str, list[str]] = {}
    size = 0
    for position, word in enumerate(words, 1):
        known = places.get(word)
        if known is None:
            size += len(word.encode()) + 24  # the scope, the positions' head, padding
            if size > _VECTOR_MAX_BYTES:
                break
            places[word] = [str(position)]
        elif len(known) < _POSITIONS_MAX:
            size += 2
            known.append(str(position))
    return " ".join(f"{scope}{word}:{','.join(at)}" for word, at in places.items())


def _fts5(scope: str, phrases: Sequence[Phrase]) -> str:
    """Return the query for FTS5; each phrase is quoted, and words hold no quotation mark."""
    return " ".join(
        f'"{_document(scope, phrase.words)}"{"*" if phrase.is_prefix else ""}' for phrase in phrases
    )


def _tsquery(scope: str, phrases: Sequence[Phrase]) -> str:
    """Return the query for PostgreSQL: phrases joined by `&`, their words by `<->`."""
    return " & ".join(
        " <-> ".join(f"'{scope}{word}'" for word in phrase.words)
        + (":*" if phrase.is_prefix else "")
        for phrase in phrases
    )
