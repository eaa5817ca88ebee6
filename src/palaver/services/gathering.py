"""Gathering: which memories and passages go with a question, chosen before its run starts.

What is chosen is stored in the run's recipe, by reference and with the reason, so that whoever
takes the run over puts the same into the prompt.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from palaver.domain.documents import FoundChunk
from palaver.domain.memories import Memory
from palaver.domain.passages import OVERHEAD_TOKENS
from palaver.domain.retrieval import Finder, Hit
from palaver.domain.search import SearchKind
from palaver.domain.sources import Reason, Source, SourceKind
from palaver.domain.tokens import estimate_tokens
from palaver.services.memories import MemoryService
from palaver.storage.database import Database
from palaver.storage.tx import Tx

MEMORY_TOKENS: Final = 1_000
"""Of a prompt: what is remembered about a person is short, or it is noise."""
PASSAGES_MAX: Final = 8


class Found(msgspec.Struct, frozen=True):
    """A passage with its text; its source gets its number where the prompt is made."""

    source: Source
    text: str
    tokens: int

    @classmethod
    def of(cls, source: Source, text: str, tokens: int | None = None) -> "Found":
        """Put the two together; the tokens are estimated where nobody knows them."""
        counted = estimate_tokens(text) if tokens is None else tokens
        return cls(source, text, counted + estimate_tokens(source.title) + OVERHEAD_TOKENS)


class Gatherer:
    """Chooses for a user's questions, from that user's own things alone."""

    def __init__(self, db: Database, memories: MemoryService, retrieval: Finder) -> None:
        self.db = db
        self.memories = memories
        self.retrieval = retrieval

    async def gather(
        self, owner_id: int, *, conversation_id: int | None, question: str, uses_rag: bool
    ) -> list[Found]:
        """Return what goes with a question: memories first, then passages, each best first."""
        relevant = await self.memories.relevant(
            owner_id,
            conversation_id=conversation_id,
            text=question,
            budget_tokens=MEMORY_TOKENS,
        )
        found = [_of_memory(each.memory, score=each.score, reason=each.reason) for each in relevant]
        if uses_rag:
            found += await self._passages(owner_id, question)
        return found

    async def again(self, owner_id: int, sources: Sequence[Source]) -> list[Found]:
        """Return the same once more, without what was deleted meanwhile."""
        if not any(source.ref for source in sources):
            return []
        async with self.db.read(snapshot=True) as tx:
            texts = await _texts(tx, owner_id, sources)
        return [
            Found.of(source, text)
            for source in sources
            if (text := texts.get((source.kind, source.ref))) is not None
        ]

    async def _passages(self, owner_id: int, question: str) -> list[Found]:
        retrieved = await self.retrieval.find(
            owner_id, question, kind=SearchKind.CHUNK, limit=PASSAGES_MAX
        )
        if not retrieved.hits:
            return []
        async with self.db.read() as tx:
            chunks = await tx.chunks.found([hit.ref for hit in retrieved.hits], owner_id=owner_id)
        hits = {hit.ref: hit for hit in retrieved.hits}
        return [_of_chunk(chunk, hits[chunk.id], note=retrieved.note) for chunk in chunks]


async def _texts(
    tx: Tx, owner_id: int, sources: Sequence[Source]
) -> dict[tuple[SourceKind, int | None], str]:
    refs = {kind: [s.ref for s in sources if s.kind is kind and s.ref] for kind in SourceKind}
    texts: dict[tuple[SourceKind, int | None], str] = {}
    for memory in await tx.memories.found(refs[SourceKind.MEMORY], owner_id=owner_id):
        texts[SourceKind.MEMORY, memory.id] = memory.content
    for chunk in await tx.chunks.found(refs[SourceKind.DOCUMENT], owner_id=owner_id):
        texts[SourceKind.DOCUMENT, chunk.id] = chunk.text
    return texts


def _of_memory(memory: Memory, *, score: float, reason: Reason) -> Found:
    source = Source(
        index=0,
        kind=SourceKind.MEMORY,
        id=memory.uuid,
        title=_MEMORY_TITLES.get(memory.type, "Memory"),
        end=len(memory.content),
        score=score,
        reason=reason,
        ref=memory.id,
    )
    return Found.of(source, memory.content, memory.text_tokens)


_MEMORY_TITLES: Final = {
    "user_fact": "Memory: about the user",
    "preference": "Memory: a preference of the user",
}


def _of_chunk(chunk: FoundChunk, hit: Hit, *, note: str | None) -> Found:
    source = Source(
        index=0,
        kind=SourceKind.DOCUMENT,
        id=chunk.document_uuid,
        title=chunk.title,
        page=chunk.page,
        start=chunk.start,
        end=chunk.end,
        score=hit.score,
        reason=Reason(text_rank=hit.text_rank, vector_rank=hit.vector_rank, note=note),
        ref=chunk.id,
        page_starts=chunk.page_starts,
    )
    return Found.of(source, chunk.text, chunk.text_tokens)
