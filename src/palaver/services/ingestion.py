"""Ingestion: what turns the files of documents into chunks that are found, fairly and in pieces.

A document that waits is a row. Whoever reads it holds a lease, and every write names the attempt:
so a worker may die at any point, and another begins anew. No transaction is long, since SQLite has
one writer and answers stream meanwhile.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Final

from palaver.domain.chunks import cut
from palaver.domain.documents import FILE_MAX_BYTES, TRIES_MAX, UNREADABLE, Chunk, Reading
from palaver.domain.errors import DomainError
from palaver.domain.extraction import ExtractionError, Extractor
from palaver.domain.ranking import Postings
from palaver.domain.search import SearchKind
from palaver.domain.tokens import estimate_tokens
from palaver.domain.users import Actor
from palaver.kit.bell import Bell
from palaver.kit.clock import SECOND, Clock, system_clock
from palaver.kit.tasks import Tasks
from palaver.services.documents import remove_content
from palaver.services.folding import terms_of
from palaver.storage.chunks import PIECE_LENGTH
from palaver.storage.database import Database
from palaver.storage.files import Files
from palaver.storage.statements import Engine
from palaver.storage.tx import Tx

log = logging.getLogger(__name__)

SMALL_MAX_BYTES: Final = 1 << 20
LEASE: Final = 30 * SECOND
RENEW_SECONDS: Final = 2.0
BATCH: Final = 20  # chunks in one transaction: about 2 ms of the loop
REST_SECONDS: Final = 0.005  # after a transaction, at most: what comes meanwhile goes first
TERMS: Final = 300  # in one transaction, as many postings as they have: about 2 ms as well
GROUP: Final = 2_000  # chunks whose postings are written together: a row for each term
TEXT_LENGTH: Final = 4 * PIECE_LENGTH
LOST: Final = "The file is no longer there. Delete this document, and add it again."

_READ: Final = 0.7  # how far a document is once it is text


class Lane:
    """A slot for files up to a size: small ones have one where no big one gets in their way."""

    def __init__(self, name: str, max_bytes: int) -> None:
        self.name = name
        self.max_bytes = max_bytes
        self.bell = Bell()


class Lanes:
    """Both slots of a worker."""

    def __init__(self) -> None:
        self.small = Lane("small", SMALL_MAX_BYTES)
        self.any = Lane("any", FILE_MAX_BYTES)

    def __iter__(self) -> Iterator[Lane]:
        return iter((self.small, self.any))

    def tell(self) -> None:
        """Say that a document waits."""
        for lane in self:
            lane.bell.ring()


class Gone(Exception):
    """The document was deleted meanwhile, or another attempt has begun: nothing is left to do."""


class Progress:
    """How far a reading is, from 0 to 1: told by what reads, kept with the lease."""

    def __init__(self) -> None:
        self.at = 0.0

    def read(self, share: float) -> None:
        """Note how much of the file has been read."""
        self.at = _READ * min(max(share, 0.0), 1.0)

    def stored(self, share: float) -> None:
        """Note how much of the text can be found."""
        self.at = _READ + (1 - _READ) * min(share, 1.0)


class IngestionService:
    """Reads documents, one in each of its lanes at a time."""

    def __init__(
        self,
        db: Database,
        files: Files,
        extractor: Extractor,
        *,
        clock: Clock = system_clock,
    ) -> None:
        self.db = db
        self.files = files
        self.extractor = extractor
        self.clock = clock
        self.lanes = Lanes()
        self._tasks = Tasks()

    async def begin(self, actor: Actor) -> None:
        """Take back what a process before this one was reading, where no other can be.

        Elsewhere the leases of the dead run out. Called before anything is read.
        """
        actor.require_admin()
        if self.db.engine is Engine.SQLITE:
            async with self.db.transaction() as tx:
                await tx.readings.take_back()

    async def ingest_next(self, actor: Actor, lane: Lane) -> bool:
        """Read the document whose turn it is, to its end; False where none waits.

        Canceled, it gives the document back.
        """
        actor.require_admin()
        reading = await self._claim(lane)
        if reading is None:
            return False
        progress = Progress()
        work = self._tasks.start(self._ingest(reading, progress), name=f"read {reading.uuid}")
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=RENEW_SECONDS)
                if not work.done() and not await self._keep(reading, progress):
                    break
        except asyncio.CancelledError:
            await self._end(work)
            await self._put_back(reading, until=0, counts=False)
            raise
        await self._end(work)
        return True

    async def _claim(self, lane: Lane) -> Reading | None:
        at = self.clock()
        async with self.db.read() as tx:
            # Most of the time nothing waits, and a look costs less than a transaction.
            if not await tx.readings.is_waiting(max_bytes=lane.max_bytes, at=at):
                return None
        async with self.db.transaction() as tx:
            return await tx.readings.claim(max_bytes=lane.max_bytes, at=at, until=at + LEASE)

    async def _keep(self, reading: Reading, progress: Progress) -> bool:
        async with self.db.transaction() as tx:
            return await tx.readings.keep(reading, until=self.clock() + LEASE, progress=progress.at)

    async def _end(self, work: "asyncio.Task[None]") -> None:
        work.cancel()
        await asyncio.wait({work})

    async def _ingest(self, reading: Reading, progress: Progress) -> None:
        """Read a document; whatever comes of it is in its row in the end."""
        with contextlib.suppress(Gone):
            error = await self._attempt(reading, progress)
            if error is not None:
                await self._clear(reading, progress)
                async with self.db.transaction() as tx:
                    await tx.readings.fail(reading, error=error, at=self.clock())

    async def _attempt(self, reading: Reading, progress: Progress) -> str | None:
        """Return why a document cannot be read, None where it could, or is tried again."""
        if reading.tries > TRIES_MAX:  # it took its readers with it
            return UNREADABLE
        try:
            await self._read(reading, progress)
        except Gone:
            raise
        except ExtractionError as error:
            return error.message
        except Exception as error:
            level = logging.INFO if isinstance(error, DomainError) else logging.ERROR
            log.log(level, "document %s cannot be read now", reading.uuid, exc_info=error)
            if reading.tries >= TRIES_MAX:
                return UNREADABLE
            await self._put_back(reading, until=self.clock() + reading.pause, counts=True)
        return None

    async def _read(self, reading: Reading, progress: Progress) -> None:
        if not await self.files.has(reading.uuid):
            raise ExtractionError(LOST)
        extracted = await self.extractor.extract(
            self.files.path(reading.uuid), reading.content_type, on_progress=progress.read
        )
        progress.at = _READ
        await self._clear(reading, progress)
        chunks = await asyncio.to_thread(cut, extracted)
        await self._store_text(reading, extracted.text, progress)
        await self._store_chunks(reading, chunks, progress)
        async with self.db.transaction() as tx:
            await tx.readings.finish(reading, chunks=len(chunks), at=self.clock())

    async def _clear(self, reading: Reading, progress: Progress) -> None:
        """Remove what an earlier attempt has left."""
        is_clear = False
        while not is_clear:
            begun = _now()
            async with self.db.transaction() as tx:
                await self._hold(tx, reading, progress)
                is_clear = await remove_content(tx, reading.id)
            await _rest(since=begun)

    async def _store_text(self, reading: Reading, text: str, progress: Progress) -> None:
        for start in range(0, len(text), TEXT_LENGTH):
            begun = _now()
            async with self.db.transaction() as tx:
                await self._hold(tx, reading, progress)
                piece = text[start : start + TEXT_LENGTH]
                await tx.chunks.add_text(reading.id, start=start, text=piece)
            await _rest(since=begun)

    async def _store_chunks(
        self, reading: Reading, chunks: Sequence[Chunk], progress: Progress
    ) -> None:
        """Store chunks and their words: a group at a time, so that no word's row grows often."""
        for first in range(0, len(chunks), GROUP):
            group = chunks[first : first + GROUP]
            postings = Postings()
            for start in range(0, len(group), BATCH):
                await self._store_batch(reading, group[start : start + BATCH], postings, progress)
                progress.stored((first + (start + BATCH) / 2) / len(chunks))
            await self._store_postings(reading, postings, progress)
            progress.stored((first + GROUP) / len(chunks))

    async def _store_batch(
        self,
        reading: Reading,
        chunks: Sequence[Chunk],
        postings: Postings,
        progress: Progress,
    ) -> None:
        found, sized = [], []
        for chunk in chunks:
            found.append(_terms(reading, chunk))
            sized.append((chunk, estimate_tokens(chunk.text)))
            await asyncio.sleep(0)
        begun = _now()
        async with self.db.transaction() as tx:
            await self._hold(tx, reading, progress)
            ids = await tx.chunks.add(reading.id, owner_id=reading.owner_id, chunks=sized)
            texts = dict(zip(ids, found, strict=True))
            await tx.postings.announce(SearchKind.CHUNK, texts, owner_id=reading.owner_id)
        await _rest(since=begun)
        for ref, terms in texts.items():
            postings.add(ref, terms)

    async def _store_postings(
        self, reading: Reading, postings: Postings, progress: Progress
    ) -> None:
        for part, blocks in postings.parts.items():
            terms = sorted(blocks)
            stored = 0
            while stored < len(terms):
                some = {term: bytes(blocks[term]) for term in terms[stored : stored + TERMS]}
                begun = _now()
                async with self.db.transaction() as tx:
                    await self._hold(tx, reading, progress)
                    stored += await tx.postings.add(
                        SearchKind.CHUNK, part, some, owner_id=reading.owner_id
                    )
                await _rest(since=begun)

    async def _hold(self, tx: Tx, reading: Reading, progress: Progress) -> None:
        """Prolong the lease; what the caller writes counts while it lasts. Raises `Gone`."""
        until, at = self.clock() + LEASE, progress.at
        if not await tx.readings.keep(reading, until=until, progress=at):
            raise Gone

    async def _put_back(self, reading: Reading, *, until: int, counts: bool) -> None:
        async with self.db.transaction() as tx:
            await tx.readings.put_back(reading, until=until, counts=counts)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _rest(*, since: float) -> None:
    """Rest for as long as a write took: so others have the database, and the loop, for half of it.

    Where it is others that the write waited for, no more than they need.
    """
    await asyncio.sleep(min(_now() - since, REST_SECONDS))


def _terms(reading: Reading, chunk: Chunk) -> dict[str, int]:
    """Return what a chunk is found by, as a fold reads it again: `storage.search`."""
    return terms_of(SearchKind.CHUNK, f"{reading.title} {chunk.heading or ''} {chunk.text}")
