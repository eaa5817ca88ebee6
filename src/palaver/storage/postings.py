"""Postings: which of an owner's texts have a term. For memories and chunks, ranked by any word.

Both databases keep the same blocks, so that both rank alike (`domain.ranking`). A block is one
owner's alone: what he looks for never touches what others wrote, and no rank tells about it.
"""

import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from palaver.domain.ranking import PART_BITS, POSTING_SIZE, Block, joined, merged, posting, without
from palaver.domain.search import SearchKind
from palaver.storage.connection import Connection
from palaver.storage.statements import Engine, Statement

BLOCKS_MAX_BYTES: Final = 64 * 1024
"""Of blocks in one transaction. That of a common word has up to 12 KiB, most have a few bytes."""

_Postings: TypeAlias = list[tuple[int, int]]  # refs, ascending, with the worth of a term


class _Block(msgspec.Struct, frozen=True, gc=False):
    term: str
    part: int
    postings: bytes


class _Old(msgspec.Struct, frozen=True, gc=False):
    ref: int
    terms: bytes


def _listed(values: Collection[str] | Collection[int]) -> str:
    return msgspec.json.encode(list(values)).decode()


def _counted(term: str, count: int) -> tuple[str, int]:
    return term, count


# The row is the lock of its owner's blocks, which are read, changed and written.
_LOCK: Final = Statement(
    """insert into search_totals (owner_id, kind, texts, last_ref)
    values (:owner_id, :kind, 0, 0)
    on conflict (owner_id, kind) do update set texts = search_totals.texts
    returning last_ref""",
    int,
)
_COUNT: Final[Statement[None]] = Statement(
    """update search_totals set texts = texts + :more, last_ref = :last_ref
    where owner_id = :owner_id and kind = :kind"""
)
_NOTE: Final[Statement[None]] = Statement(
    """insert into search_totals (owner_id, kind, texts, last_ref)
    values (:owner_id, :kind, :more, :last_ref)
    on conflict (owner_id, kind) do update set texts = search_totals.texts + excluded.texts,
        last_ref = case when excluded.last_ref > search_totals.last_ref
            then excluded.last_ref else search_totals.last_ref end"""
)
_TEXTS: Final = Statement(
    "select texts from search_totals where owner_id = :owner_id and kind = :kind", int
)
_OLD: Final = Statement(
    "select ref, terms from search_entries where kind = :kind and ref {in_numbers refs}",
    _Old,
)
_PUT_ENTRY: Final[Statement[None]] = Statement(
    """insert into search_entries (kind, ref, owner_id, terms)
    values (:kind, :ref, :owner_id, :terms)
    on conflict (kind, ref) do update set terms = excluded.terms, space_id = 0,
        version = search_entries.version + 1"""
)
_FORGET: Final = Statement(
    "delete from search_entries where kind = :kind and ref {in_numbers refs} returning ref", int
)
_REMOVE_ENTRY: Final[Statement[None]] = Statement(
    "delete from search_entries where kind = :kind and ref = :ref"
)
_BLOCKS_OF_PART: Final = Statement(
    """select term, part, postings from search_postings
        where owner_id = :owner_id and kind = :kind and part = :part and term {in_texts terms}""",
    _Block,
)
_PUT_BLOCK: Final[Statement[None]] = Statement(
    """insert into search_postings (owner_id, kind, term, part, postings)
    values (:owner_id, :kind, :term, :part, :postings)
    on conflict (owner_id, kind, term, part) do update set postings = excluded.postings"""
)
_PUT_BLOCKS: Final[Statement[None]] = Statement(
    postgresql="""insert into search_postings (owner_id, kind, term, part, postings)
        select cast(:owner_id as bigint), cast(:kind as bigint), term, cast(:part as bigint),
            postings
        from unnest(cast(:terms as text[]), cast(:postings as bytea[])) as given(term, postings)
        on conflict (owner_id, kind, term, part) do update set postings = excluded.postings"""
)
_APPEND: Final[Statement[None]] = Statement(
    sqlite="""insert into search_postings (owner_id, kind, term, part, postings)
        values (:owner_id, :kind, :term, :part, :postings)
        on conflict (owner_id, kind, term, part)
        do update set postings = cast(postings || excluded.postings as blob)"""
)
_APPEND_ALL: Final[Statement[None]] = Statement(
    postgresql="""insert into search_postings (owner_id, kind, term, part, postings)
        select cast(:owner_id as bigint), cast(:kind as bigint), term, cast(:part as bigint),
            postings
        from unnest(cast(:terms as text[]), cast(:postings as bytea[])) as given(term, postings)
        on conflict (owner_id, kind, term, part)
        do update set postings = search_postings.postings || excluded.postings"""
)
_REMOVE_BLOCK: Final[Statement[None]] = Statement(
    """delete from search_postings
    where owner_id = :owner_id and kind = :kind and term = :term and part = :part"""
)
_COUNTS: Final = Statement(
    f"""select term, cast(sum(length(postings)) / {POSTING_SIZE} as bigint) from search_postings
        where owner_id = :owner_id and kind = :kind and term {{in_texts terms}} group by term""",
    _counted,
    slow=True,
)
_BLOCKS: Final = Statement(
    """select term, part, postings from search_postings
        where owner_id = :owner_id and kind = :kind and term {in_texts terms}""",
    _Block,
    slow=True,
)
_ENQUEUE: Final[Statement[None]] = Statement(
    """insert into search_pending (owner_id, kind, ref)
        select owner_id, kind, ref from search_entries
        where kind = :kind and ref {in_numbers refs}"""
)
_HOLD: Final = {
    SearchKind.MEMORY: Statement(
        "select id from memories where id {in_numbers refs} order by id {for_update}", int
    ),
    SearchKind.CHUNK: Statement(
        "select id from chunks where id {in_numbers refs} order by id {for_update}", int
    ),
}
# By their ids: SQLite would rather go through all that the owner has.
_MEMORIES_THERE: Final = """select m.id from memories m
    left join conversations c on c.id = m.conversation_id and c.deleted_at is null
    where m.id {in_numbers refs} and +m.owner_id = :owner_id
        and (m.conversation_id is null or c.id is not null)"""
_MEMORIES_OF_TYPE: Final = Statement(f"{_MEMORIES_THERE} and m.type = :type", int)
_THERE: Final = {
    SearchKind.MEMORY: Statement(_MEMORIES_THERE, int),
    SearchKind.CHUNK: Statement(
        # From the chunks to their documents: the planner would rather walk all that one has.
        """select c.id from chunks c cross join documents d
        where c.id {in_numbers refs} and c.owner_id = :owner_id and d.id = c.document_id
        and d.owner_id = :owner_id and d.status = 'ready' and d.deleted_at is null""",
        int,
        slow=True,
    ),
}


class PostingStore:
    """`search_postings`, `search_entries` and `search_totals`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def put(
        self, kind: SearchKind, texts: Mapping[int, Mapping[str, int]], *, owner_id: int
    ) -> list[int]:
        """Put the terms of each text, with their worths, in the place of what its ref had.

        No terms take it out. Returns the refs that had been there: their vectors are no longer
        right. Costs about a millisecond a text, so no more than a few go into one transaction.
        """
        place = {"owner_id": owner_id, "kind": int(kind)}
        last_ref = await self._connection.one(_LOCK, **place) or 0
        old = await self.terms_of(kind, list(texts))
        for part in sorted({ref >> PART_BITS for ref in texts}):
            refs = sorted(ref for ref in texts if ref >> PART_BITS == part)
            if refs[0] > last_ref:
                await self._append({**place, "part": part}, _by_term(texts, refs))
            else:
                gone = {ref: old[ref] for ref in refs if ref in old}
                await self._merge({**place, "part": part}, gone, _by_term(texts, refs))
        await self._put_entries(place, texts)
        more = sum(map(bool, texts.values())) - len(old)
        await self._connection.run(_COUNT, more=more, last_ref=max(last_ref, *texts), **place)
        return list(old)

    async def announce(
        self, kind: SearchKind, texts: Mapping[int, Mapping[str, int]], *, owner_id: int
    ) -> None:
        """Note new texts and their terms, whose postings are going to follow (`add`).

        Whoever removes one from now on takes all of that out, however much of it has come.
        """
        place = {"owner_id": owner_id, "kind": int(kind)}
        found = {ref: terms for ref, terms in texts.items() if terms}
        if found:
            await self._connection.run(_NOTE, more=len(found), last_ref=max(found), **place)
            await self._put_entries(place, found)

    async def add(
        self, kind: SearchKind, part: int, blocks: Mapping[str, bytes], *, owner_id: int
    ) -> int:
        """Add postings of texts that were announced; return how many terms were enough for once.

        Those are the first ones, and one at least. To add anything twice changes nothing.
        """
        place = {"owner_id": owner_id, "kind": int(kind), "part": part}
        await self._connection.one(_LOCK, owner_id=owner_id, kind=int(kind))
        rows = await self._connection.all(_BLOCKS_OF_PART, terms=_listed(blocks), **place)
        had = {row.term: row.postings for row in rows}
        put: dict[str, bytes] = {}
        size = 0
        for term, more in blocks.items():
            put[term] = block = joined(had.get(term, b""), more)
            size += len(block)
            if size > BLOCKS_MAX_BYTES:
                break
        await self._put_blocks(place, put)
        return len(put)

    async def terms_of(self, kind: SearchKind, refs: Collection[int]) -> dict[int, list[str]]:
        """Return the terms of those refs that are in the index."""
        rows = await self._connection.all(_OLD, kind=int(kind), refs=_listed(refs))
        return {row.ref: zlib.decompress(row.terms).decode().split(" ") for row in rows}

    async def take(
        self, kind: SearchKind, part: int, gone: Mapping[str, Sequence[int]], *, owner_id: int
    ) -> int:
        """Take texts out of the blocks of some terms; return how many terms were enough for once.

        Those are the first ones, and one at least. `forget` is what has to come last.
        """
        place = {"owner_id": owner_id, "kind": int(kind), "part": part}
        await self._connection.one(_LOCK, owner_id=owner_id, kind=int(kind))
        rows = await self._connection.all(_BLOCKS_OF_PART, terms=_listed(gone), **place)
        had = {row.term: row.postings for row in rows}
        put: dict[str, bytes] = {}
        emptied = []
        size = taken = 0
        for term, refs in gone.items():
            block = had.get(term, b"")
            if left := without(block, refs):
                put[term] = left
            else:
                emptied.append({**place, "term": term})
            size += len(block)
            taken += 1
            if size > BLOCKS_MAX_BYTES:
                break
        await self._put_blocks(place, put)
        await self._connection.many(_REMOVE_BLOCK, emptied)
        return taken

    async def forget(self, kind: SearchKind, refs: Collection[int], *, owner_id: int) -> None:
        """Forget texts that no block has any more."""
        place = {"owner_id": owner_id, "kind": int(kind)}
        await self._connection.one(_LOCK, **place)
        gone = await self._connection.all(_FORGET, kind=int(kind), refs=_listed(refs))
        await self._connection.run(_NOTE, more=-len(gone), last_ref=0, **place)

    async def hold(self, kind: SearchKind, refs: Collection[int]) -> set[int]:
        """Return those refs whose rows are there, and keep them there until the transaction ends.

        Whoever removes one then finds it in the index, and has it taken out.
        """
        return set(await self._connection.all(_HOLD[kind], refs=_listed(refs)))

    async def enqueue(self, kind: SearchKind, refs: Collection[int]) -> None:
        """Let the next fold look at refs again, and take out those whose text is gone."""
        if refs:
            await self._connection.run(_ENQUEUE, kind=int(kind), refs=_listed(refs))

    async def counts(
        self, kind: SearchKind, terms: Collection[str], *, owner_id: int
    ) -> tuple[int, dict[str, int]]:
        """Return how many texts the owner has, and how many of them have each of some terms."""
        place = {"owner_id": owner_id, "kind": int(kind)}
        texts = await self._connection.one(_TEXTS, **place)
        if not texts:
            return 0, {}
        return texts, dict(await self._connection.all(_COUNTS, terms=_listed(terms), **place))

    async def blocks(
        self, kind: SearchKind, terms: Collection[str], *, owner_id: int
    ) -> dict[str, list[Block]]:
        """Return every block of some terms."""
        rows = await self._connection.all(
            _BLOCKS, owner_id=owner_id, kind=int(kind), terms=_listed(terms)
        )
        found: dict[str, list[Block]] = {}
        for row in rows:
            found.setdefault(row.term, []).append((row.part, row.postings))
        return found

    async def there(
        self, kind: SearchKind, refs: Collection[int], *, owner_id: int, type: str | None = None
    ) -> set[int]:
        """Return those refs that are the owner's, and may be shown; of memories those of a type."""
        place = {"refs": _listed(refs), "owner_id": owner_id}
        if type is not None:
            return set(await self._connection.all(_MEMORIES_OF_TYPE, type=type, **place))
        return set(await self._connection.all(_THERE[kind], **place))

    async def _append(self, place: Mapping[str, int], new: Mapping[str, _Postings]) -> None:
        """Put texts behind all that there are; nothing has to be read."""
        # In the order of terms: on PostgreSQL rows are locked in one order.
        blocks = {term: b"".join([posting(*each) for each in new[term]]) for term in sorted(new)}
        if self._connection.engine is Engine.SQLITE:
            rows = [{**place, "term": term, "postings": block} for term, block in blocks.items()]
            await self._connection.many(_APPEND, rows)
        else:
            await self._connection.run(
                _APPEND_ALL, terms=list(blocks), postings=list(blocks.values()), **place
            )

    async def _merge(
        self,
        place: Mapping[str, int],
        old: Mapping[int, Sequence[str]],
        new: Mapping[str, _Postings],
    ) -> None:
        """Take texts out of blocks and put others between."""
        gone: dict[str, list[int]] = {}
        for ref, terms in old.items():
            for term in terms:
                gone.setdefault(term, []).append(ref)
        touched = gone.keys() | new.keys()
        rows = await self._connection.all(_BLOCKS_OF_PART, terms=_listed(touched), **place)
        had = {row.term: row.postings for row in rows}
        put, emptied = [], []
        for term in sorted(touched):
            block = merged(had.get(term, b""), gone=gone.get(term, ()), new=new.get(term, ()))
            if block:
                put.append({**place, "term": term, "postings": block})
            else:
                emptied.append({**place, "term": term})
        await self._connection.many(_PUT_BLOCK, put)
        await self._connection.many(_REMOVE_BLOCK, emptied)

    async def _put_blocks(self, place: Mapping[str, int], blocks: Mapping[str, bytes]) -> None:
        if self._connection.engine is Engine.SQLITE:
            rows = [{**place, "term": term, "postings": block} for term, block in blocks.items()]
            await self._connection.many(_PUT_BLOCK, rows)
        else:
            await self._connection.run(
                _PUT_BLOCKS, terms=list(blocks), postings=list(blocks.values()), **place
            )

    async def _put_entries(
        self, place: Mapping[str, int], texts: Mapping[int, Mapping[str, int]]
    ) -> None:
        put = [
            {**place, "ref": ref, "terms": zlib.compress(" ".join(terms).encode(), 1)}
            for ref, terms in texts.items()
            if terms
        ]
        gone = [{"kind": place["kind"], "ref": ref} for ref, terms in texts.items() if not terms]
        if put:
            await self._connection.many(_PUT_ENTRY, put)
        if gone:
            await self._connection.many(_REMOVE_ENTRY, gone)


def _by_term(texts: Mapping[int, Mapping[str, int]], refs: Sequence[int]) -> dict[str, _Postings]:
    found: dict[str, _Postings] = {}
    for ref in refs:
        for term, worth in texts[ref].items():
            found.setdefault(term, []).append((ref, worth))
    return found
