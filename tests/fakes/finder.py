"""Finds memories by their words, as the house's retrieval does, but by looking at each one."""

from palaver.domain.retrieval import Hit, Retrieved
from palaver.domain.search import SearchKind
from palaver.kit.words import words
from palaver.storage.database import Database

NOTE = "Full text alone: no embedder is set up."


class WordFinder:
    """Ranks what one has by how many words it shares with a text; counts how often it is asked."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.asked: list[str] = []

    async def find(self, owner_id: int, text: str, *, kind: SearchKind, limit: int) -> Retrieved:
        """Return the memories that share a word."""
        assert kind is SearchKind.MEMORY
        self.asked.append(text)
        wanted = set(words(text))
        async with self.db.read() as tx:
            every = await tx.memories.list(owner_id=owner_id, type=None, limit=100_000)
        shared = [(len(wanted & set(words(each.memory.content))), each.memory.id) for each in every]
        best = sorted((-count, id) for count, id in shared if count)[:limit]
        return Retrieved(
            [
                Hit(kind, id, 1 / (60 + rank), text_rank=rank, vector_rank=None)
                for rank, (_, id) in enumerate(best, start=1)
            ],
            NOTE,
        )
