"""Folding: what was written moves into the search index, in pieces that hold nobody up."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Final, TypeAlias

from palaver.domain.ranking import PART_BITS, terms
from palaver.domain.search import SearchKind
from palaver.kit.words import words
from palaver.storage.database import Database, retrying
from palaver.storage.search import Entry, Pending
from palaver.storage.tx import Tx

FOLD_MAX: Final = 64  # rows that are read at once
FEW: Final = 3  # that are gone, and are taken out one by one
GONE_MAX: Final = 1_000  # memories or chunks that are taken out together
STRETCH: Final = 300  # terms in one transaction, where a text has no other bound
TERMS_MAX: Final = 1_000  # of memories and chunks in one transaction: about 5 ms of the loop
WORDS_KINDS: Final = frozenset({SearchKind.TITLE, SearchKind.MESSAGE})
"""Full text: every word of a query must be there. The other kinds are ranked by any word."""

_LONG: Final = 50_000  # code points that are cut into words beside the loop, not on it
_ENOUGH: Final = 10_000  # code points that are cut before others get their turn
_USUAL_LENGTH: Final = {SearchKind.MEMORY: 20, SearchKind.CHUNK: 200}  # in words

_Place: TypeAlias = tuple[int, int]  # kind and ref
_Texts: TypeAlias = dict[int, dict[str, int]]  # the terms of refs, with their worths


def terms_of(kind: SearchKind, text: str) -> dict[str, int]:
    """Return what a memory or a chunk is found by. About 0.3 ms for 1,300 code points."""
    return terms(words(text), usual_length=_USUAL_LENGTH[kind])


class Folder:
    """Whoever folds, however often, at the same time as others: the index ends with the newest."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def fold(self) -> int:
        """Move some of what waits, of everybody; return how much it was."""
        async with self.db.read() as tx:
            pending = await tx.search.pending(limit=FOLD_MAX)
        await self._fold(pending)
        return len(pending)

    async def fold_own(
        self, owner_id: int, kinds: Collection[SearchKind], *, rows_max: int | None = None
    ) -> None:
        """Move what waits of an owner's, all of it, or at least `rows_max` rows."""
        folded = 0
        while rows_max is None or folded < rows_max:
            some = await self.fold_some(owner_id, kinds)
            folded += some
            if some < FOLD_MAX:
                return

    async def fold_some(self, owner_id: int, kinds: Collection[SearchKind]) -> int:
        """Move some of what waits of an owner's; return how much it was."""
        async with self.db.read() as tx:
            pending = await tx.search.pending_of(owner_id, kinds, limit=FOLD_MAX)
        await self._fold(pending)
        return len(pending)

    async def _fold(self, pending: Sequence[Pending]) -> None:
        plain = [row for row in pending if row.kind in WORDS_KINDS]
        if plain:
            await self._fold_plain(plain, await _entries(plain))
        # One owner and kind a piece: a fold locks one row of totals, and waits for no second.
        ranked = sorted(
            (row for row in pending if row.kind not in WORDS_KINDS),
            key=lambda row: (row.owner_id, row.kind, row.ref),
        )
        for (owner_id, kind), rows in groupby(ranked, lambda row: (row.owner_id, row.kind)):
            group = list(rows)
            if sum(row.text is None for row in group) > FEW:
                gone = await self._forget(owner_id, SearchKind(kind))
                group = [row for row in group if row.id not in gone]
            texts = await _texts(SearchKind(kind), group)
            for refs in _pieces(texts):
                piece = [row for row in group if row.ref in refs]
                await self._fold_ranked(owner_id, SearchKind(kind), piece, texts)

    async def _forget(self, owner_id: int, kind: SearchKind) -> Collection[int]:
        """Take out what is gone, a stretch of terms at a time: each block is written once.

        What has no row is never put back, so this may end anywhere and be begun anew. Returns the
        pending rows that are done with.
        """
        async with self.db.read() as tx:
            gone = dict(await tx.search.gone(owner_id, kind, limit=GONE_MAX))
        refs = sorted(set(gone.values()))
        parts: dict[int, dict[str, list[int]]] = {}
        for start in range(0, len(refs), FOLD_MAX):
            async with self.db.read() as tx:
                found = await tx.postings.terms_of(kind, refs[start : start + FOLD_MAX])
            for ref, known in found.items():
                part = parts.setdefault(ref >> PART_BITS, {})
                for term in known:
                    part.setdefault(term, []).append(ref)
            await asyncio.sleep(0)
        for number, part in parts.items():
            await self._take(owner_id, kind, number, part)
        ids = list(gone)
        for start in range(0, len(ids), FOLD_MAX):
            some = {id: gone[id] for id in ids[start : start + FOLD_MAX]}
            await self._end(owner_id, kind, some)
        return gone

    async def _take(
        self, owner_id: int, kind: SearchKind, part: int, gone: dict[str, list[int]]
    ) -> None:
        terms = sorted(gone)
        taken = 0
        while taken < len(terms):
            some = {term: gone[term] for term in terms[taken : taken + STRETCH]}
            taken += await self._take_some(owner_id, kind, part, some)
            await asyncio.sleep(0)

    @retrying
    async def _take_some(
        self, owner_id: int, kind: SearchKind, part: int, gone: dict[str, list[int]]
    ) -> int:
        async with self.db.transaction() as tx:
            return await tx.postings.take(kind, part, gone, owner_id=owner_id)

    @retrying
    async def _end(self, owner_id: int, kind: SearchKind, gone: dict[int, int]) -> None:
        refs = list(gone.values())
        async with self.db.transaction() as tx:
            await tx.search.claim(gone)
            await tx.postings.forget(kind, refs, owner_id=owner_id)
            await tx.vectors.remove(kind, refs)

    @retrying
    async def _fold_plain(self, pending: Sequence[Pending], entries: Sequence[Entry]) -> None:
        async with self.db.transaction() as tx:
            # Another fold may have been first; whoever takes the last row of a ref has read a
            # text at least as new as that row, so the index ends with the newest.
            refs = await _claim(tx, pending)
            await tx.search.put(entry for entry in entries if (entry.kind, entry.ref) in refs)

    @retrying
    async def _fold_ranked(
        self, owner_id: int, kind: SearchKind, pending: Sequence[Pending], texts: _Texts
    ) -> None:
        async with self.db.transaction() as tx:
            refs = sorted({ref for _, ref in await _claim(tx, pending)})
            if not refs:
                return
            there = await tx.postings.hold(kind, refs)
            put = {ref: texts[ref] if ref in there else {} for ref in refs}
            changed = await tx.postings.put(kind, put, owner_id=owner_id)
            if changed:
                await tx.vectors.remove(kind, changed)


async def _claim(tx: Tx, pending: Sequence[Pending]) -> set[_Place]:
    taken = await tx.search.claim(row.id for row in pending)
    return {(row.kind, row.ref) for row in pending if row.id in taken}


async def _entries(pending: Sequence[Pending]) -> list[Entry]:
    """Return one entry a ref, with the words of its text."""
    entries: dict[_Place, Entry] = {}
    for row in pending:
        place = (row.kind, row.ref)
        if place not in entries:
            entries[place] = Entry(row.owner_id, row.kind, row.ref, await _words(row))
    return list(entries.values())


async def _texts(kind: SearchKind, pending: Sequence[Pending]) -> _Texts:
    """Return the terms of each ref; none for what is gone."""
    texts: _Texts = {}
    cut = 0
    for row in pending:
        if row.ref not in texts:
            texts[row.ref] = terms(await _words(row), usual_length=_USUAL_LENGTH[kind])
            cut += len(row.text or "")
            if cut > _ENOUGH:
                cut = 0
                await asyncio.sleep(0)
    return texts


async def _words(row: Pending) -> list[str]:
    text = row.text or ""
    return words(text) if len(text) < _LONG else await asyncio.to_thread(words, text)


def _pieces(texts: _Texts) -> Iterator[set[int]]:
    """Divide refs so that a piece has about `TERMS_MAX` terms."""
    piece: set[int] = set()
    size = 0
    for ref, found in texts.items():
        if piece and size + len(found) > TERMS_MAX:
            yield piece
            piece, size = set(), 0
        piece.add(ref)
        size += len(found) or TERMS_MAX // 4  # of what is gone, nobody knows yet how much
    if piece:
        yield piece
