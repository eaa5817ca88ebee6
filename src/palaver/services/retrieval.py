"""Retrieval: the memories and chunks that help with a question, by words and by meaning.

Decision record: docs/decisions, "Ranking is ours, on both databases".
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from palaver.domain.embedders import Embedder
from palaver.domain.errors import ProviderError
from palaver.domain.ranking import Query, ways
from palaver.domain.retrieval import Hit, Retrieved
from palaver.domain.search import SearchKind
from palaver.domain.users import Actor
from palaver.domain.vectors import Packed, by_similarity, packed
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
DEPTH: Final = 100  # hits of each way that are fused
ASKED_MAX: Final = 32  # questions whose vectors are remembered
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
        self._asked: dict[tuple[int, str], Packed] = {}  # the last questions, oldest first

    async def find(self, owner_id: int, text: str, *, kind: SearchKind, limit: int) -> Retrieved:
        """Return the best of the owner's memories or chunks, at most `limit` (and 100).

        Any word of `text` may match. A score is 1 for what is best in every way that was searched.
        What was stored before the call is found.
        """
        text = text[:TEXT_MAX].strip()
        if not text:
            return Retrieved(())
        await self._folder.fold_own(owner_id, [kind], rows_max=OWN_ROWS_MAX)
        searching = asyncio.ensure_future(self._by_meaning(owner_id, text, kind))
        try:
            by_words = await self._by_words(owner_id, text, kind)
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

    async def _by_words(self, owner_id: int, text: str, kind: SearchKind) -> dict[int, float]:
        """Return what words find, best first: refs, each with its share of what could be found."""
        asked = list(dict.fromkeys(words(text)))[:WORDS_MAX]
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
        if query.is_short:
            ranked = query.best(blocks, limit=RANKED_MAX)
        else:
            ranked = await asyncio.to_thread(query.best, blocks, limit=RANKED_MAX)
        shown = await self._shown(owner_id, kind, [ref for ref, _ in ranked])
        scores = dict(ranked)
        return {ref: scores[ref] / query.most for ref in shown}

    async def _by_meaning(
        self, owner_id: int, text: str, kind: SearchKind
    ) -> tuple[list[int] | None, str | None]:
        """Return what is nearest; else None, and a sentence that says why."""
        if self.embedder is None:
            return None, NO_EMBEDDER
        space = self.embedder.id
        async with self.db.read() as tx:
            has_any = await tx.vectors.has_any(kind, owner_id=owner_id, space=space)
        if not has_any:
            return None, NOT_YET
        try:
            vector = await self._embedded(self.embedder, owner_id, text)
        except TimeoutError:
            return None, LATE
        except (ProviderError, ValueError, IndexError) as error:
            log.warning("A question was not embedded: %s", error)
            return None, BROKEN
        async with self.db.read() as tx:
            near = await tx.vectors.near(kind, vector, owner_id=owner_id, space=space)
        nearest = await asyncio.to_thread(by_similarity, vector, near)
        return await self._shown(owner_id, kind, [ref for ref, _ in nearest]), None

    async def _embedded(self, embedder: Embedder, owner_id: int, text: str) -> Packed:
        """Return a question's vector. One answer looks for memories and for chunks with it."""
        text = text[:EMBEDDED_MAX]
        asked = owner_id, text
        if (known := self._asked.get(asked)) is not None:
            return known
        async with asyncio.timeout(self._embedding_seconds):
            embedded = await embedder.embed([text], is_query=True)
        if self.on_embedded is not None:
            await self.on_embedded(owner_id, embedded.tokens)
        self._asked[asked] = vector = packed(embedded.vectors[0])
        if len(self._asked) > ASKED_MAX:
            del self._asked[next(iter(self._asked))]
        return vector

    async def _shown(self, owner_id: int, kind: SearchKind, refs: Sequence[int]) -> list[int]:
        """Return the first of those refs that are still there, and the owner's."""
        shown: list[int] = []
        for start in range(0, len(refs), DEPTH):
            some = refs[start : start + DEPTH]
            async with self.db.read() as tx:
                there = await tx.postings.there(kind, some, owner_id=owner_id)
            shown += [ref for ref in some if ref in there]
            if len(shown) >= DEPTH:
                break
        return shown[:DEPTH]


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
    return sorted(hits, key=lambda hit: (-hit.score, hit.text_rank or DEPTH + 1, -hit.ref))
