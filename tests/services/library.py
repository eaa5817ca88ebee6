"""Documents as services see them: what tests of documents and of ingestion begin with."""

import asyncio
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from palaver.domain.documents import Document, DocumentCaps, NewDocument
from palaver.domain.search import SearchKind
from palaver.domain.users import SYSTEM, Actor
from palaver.services.documents import PURGE_JOB, DocumentService
from palaver.services.ingestion import IngestionService, Lane
from palaver.services.jobs import JobService
from palaver.services.search import SearchService
from palaver.storage.database import Database
from palaver.storage.files import Files
from palaver.storage.statements import Statement
from tests.cast import Cast
from tests.fakes.clock import StillClock
from tests.fakes.text_extractor import TextExtractor


def a_file(content: bytes | str, name: str = "notes.txt", **more: Any) -> NewDocument:
    """Return what an upload comes to."""
    given = content.encode() if isinstance(content, str) else content
    told = {"declared": "text/plain", "title": None, "metadata": None} | more
    return NewDocument.of_file(io.BytesIO(given), size_bytes=len(given), name=name, **told)


@dataclass
class Library:
    """Documents over a database and a folder, and whoever reads them."""

    db: Database
    folder: Path
    cast: Cast
    clock: StillClock
    caps: DocumentCaps = field(default_factory=DocumentCaps)

    def __post_init__(self) -> None:
        self.extractor = TextExtractor()
        self.files = Files(self.folder / "documents")
        self.search = SearchService(self.db)
        self.ingestion = IngestionService(self.db, self.files, self.extractor, clock=self.clock)
        self.documents = DocumentService(
            self.db,
            self.files,
            caps=self.caps,
            on_waiting=self.ingestion.lanes.tell,
            clock=self.clock,
        )

    def another(self) -> "Library":
        """Return the same library as another worker has it."""
        return Library(self.db, self.folder, self.cast, self.clock)

    @property
    def owner(self) -> Actor:
        """Return the one whose documents these are."""
        return self.cast.owner

    @property
    def stranger(self) -> Actor:
        """Return somebody else."""
        return self.cast.stranger

    @property
    def small(self) -> Lane:
        """Return the lane of small files."""
        return self.ingestion.lanes.small

    @property
    def any(self) -> Lane:
        """Return the lane of all files."""
        return self.ingestion.lanes.any

    async def given(
        self, content: bytes | str, *, by: Actor | None = None, **more: Any
    ) -> Document:
        """Keep a document."""
        return await self.documents.create(by or self.owner, a_file(content, **more))

    async def read(self, content: bytes | str, *, by: Actor | None = None, **more: Any) -> Document:
        """Keep a document, and read all that waits."""
        document = await self.given(content, by=by, **more)
        await self.read_all()
        return await self.documents.get(by or self.owner, document.uuid)

    async def read_all(self) -> None:
        """Read what waits."""
        while await self.ingestion.ingest_next(SYSTEM, self.any):
            pass

    async def purge_all(self) -> None:
        """Do the jobs that deletions have left."""
        jobs = JobService(self.db, clock=self.clock)
        for job in await jobs.claim(SYSTEM, [PURGE_JOB], limit=100):
            while not await self.documents.purge(SYSTEM, job.payload["document_id"]):
                pass
            await jobs.finish(SYSTEM, job)

    async def count(self, table: str, where: str = "1 = 1") -> int:
        """Return how many rows a table has."""
        statement = Statement(f"select count(*) from {table} where {where}", int)  # noqa: S608  # our own names
        async with self.db.read() as tx:
            return await tx._connection.one(statement) or 0

    async def texts(self) -> int:
        """Return how many texts of the owner's documents the index counts."""
        async with self.db.read() as tx:
            return (await tx.postings.counts(SearchKind.CHUNK, [], owner_id=self.owner.owner_id))[0]

    def stored(self) -> list[Path]:
        """Return all files, drafts included."""
        return [path for path in (self.folder / "documents").rglob("*") if path.is_file()]

    async def until_begun(self) -> None:
        """Wait until the extractor has a file."""
        async with asyncio.timeout(10):
            await self.extractor.begun.acquire()
