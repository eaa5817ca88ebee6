"""Documents and memories to find things in, written as their stores write them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from palaver.domain.retrieval import Retrieved
from palaver.domain.search import SearchKind
from palaver.domain.users import Actor
from palaver.domain.vectors import packed
from palaver.kit.ids import new_uuid
from palaver.services.retrieval import RetrievalService
from palaver.storage.database import Database
from palaver.storage.statements import Statement
from tests.fakes.embedder import WordEmbedder

_DOCUMENT = Statement(
    """insert into documents
        (uuid, owner_id, title, mime_type, size_bytes, status, created_at, updated_at)
    values (:uuid, :owner_id, :title, 'text/plain', 1, :status, 1, 1) returning id""",
    int,
)
_CHUNK = Statement(
    """insert into chunks
        (document_id, owner_id, number, starts, ends, heading, text, text_tokens)
    values (:document_id, :owner_id, :number, 0, 1, :heading, :text, 1) returning id""",
    int,
)
_MEMORY = Statement(
    """insert into memories
        (uuid, owner_id, type, content, text_tokens, importance, created_at, updated_at)
    values (:uuid, :owner_id, :type, :text, 1, 0.5, 1, 1) returning id""",
    int,
)
EDIT_MEMORY = Statement("update memories set content = :text where id = :id")
DELETE_MEMORY = Statement("delete from memories where id = :id")
DELETE_DOCUMENT = Statement("update documents set deleted_at = 1 where id = :id")
PURGE_DOCUMENT = Statement("delete from documents where id = :id")
_ROWS = {
    name: Statement(f"select count(*) from {name}", int)  # noqa: S608  # names of ours
    for name in ("search_postings", "search_entries", "search_pending", "vectors", "vector_bits")
}


@dataclass
class Library:
    """What several people have stored, and what searches it."""

    db: Database
    owner: Actor
    stranger: Actor
    embedder: WordEmbedder = field(default_factory=WordEmbedder)

    def __post_init__(self) -> None:
        self.words = RetrievalService(self.db)
        self.meaning = RetrievalService(self.db, self.embedder, embedding_seconds=5)

    async def document(
        self,
        *texts: str,
        title: str = "Untitled",
        heading: str | None = None,
        owner: Actor | None = None,
        status: str = "ready",
    ) -> tuple[int, list[int]]:
        """Store a document with chunks; return its id and theirs."""
        owner_id = (owner or self.owner).owner_id
        async with self.db.transaction() as tx:
            document_id = await tx._connection.one(
                _DOCUMENT, uuid=new_uuid(), owner_id=owner_id, title=title, status=status
            )
            ids = [
                await tx._connection.one(
                    _CHUNK,
                    document_id=document_id,
                    owner_id=owner_id,
                    number=number,
                    heading=heading,
                    text=text,
                )
                for number, text in enumerate(texts)
            ]
            await tx.search.enqueue_all(owner_id=owner_id, kind=SearchKind.CHUNK, refs=ids)
        return document_id, ids

    async def memory(self, text: str, *, owner: Actor | None = None, type: str = "global") -> int:
        """Store a memory; return its id."""
        owner_id = (owner or self.owner).owner_id
        async with self.db.transaction() as tx:
            id = await tx._connection.one(
                _MEMORY, uuid=new_uuid(), owner_id=owner_id, type=type, text=text
            )
            await tx.search.enqueue(owner_id=owner_id, kind=SearchKind.MEMORY, ref=id)
        return id

    async def change(
        self, statement: Statement, *, kind: SearchKind, refs: Sequence[int], **values
    ):
        """Change or delete what is behind refs, and say so."""
        async with self.db.transaction() as tx:
            await tx._connection.run(statement, **values)
            await tx.search.enqueue_all(owner_id=self.owner.owner_id, kind=kind, refs=refs)

    async def chunks(self, text: str, *, by: Actor | None = None, limit: int = 10) -> list[int]:
        """Return the chunks that are found by words."""
        owner_id = (by or self.owner).owner_id
        found = await self.words.find(owner_id, text, kind=SearchKind.CHUNK, limit=limit)
        return [hit.ref for hit in found.hits]

    async def memories(self, text: str, *, by: Actor | None = None) -> list[int]:
        """Return the memories that are found by words."""
        owner_id = (by or self.owner).owner_id
        found = await self.words.find(owner_id, text, kind=SearchKind.MEMORY, limit=10)
        return [hit.ref for hit in found.hits]

    async def embed(self, kind: SearchKind, texts: dict[int, str]) -> int:
        """Give what has no vector yet one; return how many got one."""
        space = self.embedder.id
        async with self.db.transaction() as tx:
            missing = await tx.vectors.missing(kind, space=space, limit=100)
            entries = [(text, packed(self.embedder.vector(texts[text.ref]))) for text in missing]
            return await tx.vectors.put(kind, entries, space=space)

    async def find(self, text: str, *, by: Actor | None = None, limit: int = 10) -> Retrieved:
        """Find chunks by words and by meaning."""
        owner_id = (by or self.owner).owner_id
        return await self.meaning.find(owner_id, text, kind=SearchKind.CHUNK, limit=limit)

    async def rows(self, table: str) -> int:
        """Count the rows of a table."""
        async with self.db.read() as tx:
            return await tx._connection.one(_ROWS[table])
