"""Retrieval: the memories and chunks that help with a question, by words and by meaning.

Decision record: docs/decisions, "Ranking is ours, on both databases".
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from palaver.domain.embedders import Embedder
from palaver.domain.errors import ProviderError
from palaver.domain.ranking import CANDIDATES_MAX, Query, ways
from palaver.domain.retrieval import Hit, Retrieved
from palaver.domain.search import SearchKind
from palaver.domain.users import Actor
from palaver.domain.vectors import Packed, by_similarity, packed
from palaver.kit.tasks import Tasks
from palaver.kit.words import words
from palaver.services.folding import Folder
from palaver.storage.database import Database

log = logging.getLogger(__name__)

EMBEDDING_SECONDS: Final = 0.15
OWN_ROWS_MAX: Final = 128  # that are folded before a search; only an import leaves more behind
TEXT_MAX: Final = 10_000  # code points of a question that count
EMBEDDED_MAX: Final = 2_000  # code points of it that are embedded: many models take 512 tokens
WORDS_MAX: Final = 400  # of it that are looked up
RANKED_MAX: Final = 1_000  # by words; those that are gone, and not yet folded, are passed over
DEPTH: Final = 100  # hits of each way that are fused, where no more are wanted
ASKED_MAX: Final = 32  # questions whose vectors are remembered, or being made
PURGED_MAX: Final = 100  # vectors in one transaction
K: Final = 10  # of reciprocal rank fusion (Cormack, Clarke, Büttcher 2009)
TRUST: Final = 4.0
"""How much the place by words of a text counts that has all of a question's words, against its
place by meaning. One that has few of them counts less in proportion: `make bench` tells why.
"""


NO_EMBEDDER: Final = "Found by words alone: no embedder is set up."
LATE: Final = "Found by words alone: the question was not embedded in time."
BROKEN: Final = "Found by words alone: the embedder failed."
NOT_YET: Final = "Found by words alone: no text has been embedded yet."

OnEmbedded = Callable[[int, int], Awaitable[None]]
"""Is told the owner of a question that was embedded, and the tokens that were read."""


class _Search(msgspec.Struct, frozen=True):
    """What is looked for, of whom, and how many hits each way is to have."""

    owner_id: int
    text: str
    kind: SearchKind
    type: str | None  # of memories
    depth: int

    @property
    def is_wide(self) -> bool:
        """Tell whether any text that matches may be wanted, and not only one of the best."""
        return self.type is not None or self.depth > DEPTH


class RetrievalService:
    """Finds among what one user has stored; nothing of anybody else's has a part in it."""

    def __init__(
        self,
        db: Database,
        embedder: Embedder | None = None,
        *,
        embedding_seconds: float = EMBEDDING_SECONDS,
    ) -> None:
        self.db = db
        self.embedder = embedder
        self.on_embedded: OnEmbedded | None = None
        self._folder = Folder(db)
        self._embedding_seconds = embedding_seconds
        self._tasks = Tasks()
        self._asked: dict[tuple[int, str], asyncio.Task[Packed | None]] = {}  # oldest first

    async def close(self) -> None:
        """Give up what is being embedded."""
        await self._tasks.cancel()

    async def find(
        self, owner_id: int, text: str, *, kind: SearchKind, limit: int, type: str | None = None
    ) -> Retrieved:
        """Return the best of the owner's memories (of a type, or of all) or chunks.

        Any word of `text` may match. A score is 1 for what is best in every way that was searched.
        What was stored before the call is found.
        """
        text = text[:TEXT_MAX].strip()
        if not text:
            return Retrieved(())
        await self._folder.fold_own(owner_id, [kind], rows_max=OWN_ROWS_MAX)
        search = _Search(owner_id, text, kind, type, max(DEPTH, limit))
        searching = self._tasks.start(self._by_meaning(search), name="search by meaning")
        try:
            by_words = await self._by_words(search)
            by_meaning, note = await searching
        finally:
            searching.cancel()
        return Retrieved(fused(kind, by_words, by_meaning)[:limit], note)

    async def purge(self, actor: Actor) -> int:
        """Remove some vectors of other embedders than this one; return how many. For jobs.

        Without an embedder they stay: whoever sets the former one up again has paid for them.
        """
        actor.require_admin()
        if self.embedder is None:
            return 0
        async with self.db.transaction() as tx:
            return await tx.vectors.remove_others(space=self.embedder.id, limit=PURGED_MAX)

    async def _by_words(self, search: _Search) -> dict[int, float]:
        """Return what words find, best first: refs, each with its share of what could be found."""
        owner_id, kind = search.owner_id, search.kind
        asked = list(dict.fromkeys(words(search.text)))[:WORDS_MAX]
        terms = {term for word in asked for term in ways(word)}
        if not terms:
            return {}
        async with self.db.read() as tx:
            texts, counts = await tx.postings.counts(kind, terms, owner_id=owner_id)
        query = Query(asked, counts, texts=texts)
        if not query.terms:
            return {}
        async with self.db.read() as tx:
            blocks = await tx.postings.blocks(kind, query.terms, owner_id=owner_id)
        most, candidates = (texts, texts) if search.is_wide else (RANKED_MAX, CANDIDATES_MAX)
        rank = partial(query.best, blocks, limit=most, candidates=candidates)
        ranked = rank() if query.is_short else await asyncio.to_thread(rank)
        shown = await self._shown(search, [ref for ref, _ in ranked])
        scores = dict(ranked)
        return {ref: scores[ref] / query.most for ref in shown}

    async def _by_meaning(self, search: _Search) -> tuple[list[int] | None, str | None]:
        """Return what is nearest; else None, and a sentence that says why."""
        if self.embedder is None:
            return None, NO_EMBEDDER
        owner_id, space = search.owner_id, self.embedder.id
        async with self.db.read() as tx:
            has_any = await tx.vectors.has_any(search.kind, owner_id=owner_id, space=space)
        if not has_any:
            return None, NOT_YET
        try:
            vector = await self._embedded(self.embedder, owner_id, search.text)
        except TimeoutError:
            return None, LATE
        if vector is None:
            return None, BROKEN
        async with self.db.read() as tx:
            near = await tx.vectors.near(
                search.kind,
                vector,
                owner_id=owner_id,
                space=space,
                at_least=search.depth,
                type=search.type,
            )
        nearest = await asyncio.to_thread(by_similarity, vector, near)
        return await self._shown(search, [ref for ref, _ in nearest]), None

    async def _embedded(self, embedder: Embedder, owner_id: int, text: str) -> Packed | None:
        """Return a question's vector, None where the embedder fails.

        One answer looks for memories and for chunks with it, and it is paid for once: what comes
        too late for the first is there for the next. Raises `TimeoutError`.
        """
        asked = owner_id, text[:EMBEDDED_MAX]
        asking = self._asked.get(asked)
        if asking is None or _has_failed(asking):
            self._forget_some()
            asking = self._tasks.start(self._embed(embedder, *asked), name="embed a question")
            self._asked[asked] = asking
        async with asyncio.timeout(self._embedding_seconds):
            return await asyncio.shield(asking)

    def _forget_some(self) -> None:
        """Make room for one more question. Raises `TimeoutError` where all are being embedded."""
        if len(self._asked) < ASKED_MAX:
            return
        oldest = next((asked for asked, asking in self._asked.items() if asking.done()), None)
        if oldest is None:
            raise TimeoutError
        del self._asked[oldest]

    async def _embed(self, embedder: Embedder, owner_id: int, text: str) -> Packed | None:
        try:
            embedded = await embedder.embed([text], is_query=True)
            if self.on_embedded is not None:
                await self.on_embedded(owner_id, embedded.tokens)
            return packed(embedded.vectors[0])
        except (ProviderError, ValueError, IndexError) as error:
            log.warning("A question was not embedded: %s", error)
            return None

    async def _shown(self, search: _Search, refs: Sequence[int]) -> list[int]:
        """Return the first of those refs that are still there, the owner's, and wanted."""
        shown: list[int] = []
        start, size = 0, search.depth
        while start < len(refs) and len(shown) < search.depth:
            some = refs[start : start + size]
            async with self.db.read() as tx:
                there = await tx.postings.there(
                    search.kind, some, owner_id=search.owner_id, type=search.type
                )
            shown += [ref for ref in some if ref in there]
            start, size = start + size, 2 * size
        return shown[: search.depth]


def _has_failed(asking: asyncio.Task[Packed | None]) -> bool:
    if not asking.done():
        return False
    return asking.cancelled() or asking.exception() is not None or asking.result() is None


def fused(
    kind: SearchKind, by_words: Mapping[int, float], by_meaning: Sequence[int] | None
) -> list[Hit]:
    """Join two rankings by reciprocal ranks, those by words weighted by each text's share.

    `by_meaning` is None where nobody searched by it.
    """
    trust = dict.fromkeys(by_words, 1.0)
    if by_meaning is not None:
        trust = {ref: TRUST * share for ref, share in by_words.items()}
    text_ranks = {ref: rank for rank, ref in enumerate(by_words, 1)}
    vector_ranks = {ref: rank for rank, ref in enumerate(by_meaning or (), 1)}
    full = (K + 1) / (max(trust.values(), default=0.0) + (by_meaning is not None) or 1.0)
    hits = []
    for ref in text_ranks.keys() | vector_ranks.keys():
        text_rank, vector_rank = text_ranks.get(ref), vector_ranks.get(ref)
        by_text = trust[ref] / (K + text_rank) if text_rank else 0.0
        by_vector = 1 / (K + vector_rank) if vector_rank else 0.0
        hits.append(Hit(kind, ref, full * (by_text + by_vector), text_rank, vector_rank))
    return sorted(hits, key=lambda hit: (-hit.score, hit.text_rank or len(hits) + 1, -hit.ref))
