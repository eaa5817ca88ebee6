"""How long does it take to find something among 100,000 chunks of one user?

Unit: milliseconds of `RetrievalService.find`, one question at a time; p50 and p95 of 200 mixed
questions (2 to 12 words, one in ten of common words alone; Latin, Cyrillic and Arabic letters,
Chinese), median of three rounds after one to warm up. Texts follow Zipf's law over words that are
made up, and everything is drawn from a seed. Vectors: 256 dimensions, from hashes; so this says how
fast, and nothing about how good. Beside the user another one has 50 chunks.
Run: python -m bench.run retrieval
"""

import asyncio
import hashlib
import itertools
import math
import os
import random
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.rows import Row
from bench.stage import postgresql, run

CHUNKS, QUERIES, ROUNDS = 100_000, 200, 3
FEW = 50
DIMENSIONS = 256
TEXT_TARGET, FUSED_TARGET = 30.0, 60.0
SPACE = "bench/hashes"

SYLLABLES = {
    "latin": "ba be co da di el en er fa ge ha in ka la le lo ma mi ne no or pa ra re ri sa se "
    "sta su ta te ti to tra un va ve vi wa zu",
    "cyrillic": "ба ве го да ди ел же за ка ло ма ни но ор па ра ре са ста су та ти",  # noqa: RUF001
    "arabic": "كا مل سر بد حن طف قل عم نو جي شع زر فت وم هد",
}
LANGUAGES = {"latin": 0.8, "cyrillic": 0.08, "arabic": 0.05, "chinese": 0.07}
VOCABULARY = 60_000
WORDS_A_CHUNK = 180


def retrieval(*, on: str, quick: bool = False) -> list[Row]:
    """Fill one database, and ask, on all cores: there is no load beside it."""
    pinned = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        return _on(on, quick=quick)
    finally:
        os.sched_setaffinity(0, pinned)


def _on(on: str, *, quick: bool) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        if on == "SQLite":
            return run(_measure(f"sqlite:///{Path(folder) / 'bench.db'}", on, quick=quick))
        with postgresql() as url:
            return run(_measure(url, on, quick=quick))


class Language:
    """Made-up words, the first of them the most common."""

    def __init__(self, name: str, draw: random.Random) -> None:
        self.draw = draw
        self.is_spaced = name != "chinese"
        if self.is_spaced:
            syllables = SYLLABLES[name].split()
            made = (
                "".join(draw.choices(syllables, k=1 + min(number // 60, draw.randint(1, 3))))
                for number in itertools.count()
            )
            unique = dict.fromkeys(itertools.islice(made, 2 * VOCABULARY))
            self.words = list(unique)[:VOCABULARY]
        else:
            self.words = [chr(0x4E00 + number) for number in draw.sample(range(6_000), 3_000)]
        weights = (1 / (rank + 2.7) for rank in range(len(self.words)))
        self._sums = list(itertools.accumulate(weights))

    def text(self) -> str:
        """Return a chunk."""
        return self._joined(self._some(WORDS_A_CHUNK + self.draw.randint(-60, 60)))

    def question(self, *, is_common: bool) -> str:
        """Return 2 to 12 words, most of them common."""
        count = self.draw.randint(2, 12)
        if is_common:
            return self._joined(self.draw.choices(self.words[:80], k=count))
        rare = self.draw.randint(1, min(4, count))
        words = [*self._rare(rare), *self.draw.choices(self.words[:200], k=count - rare)]
        self.draw.shuffle(words)
        return self._joined(words)

    def _some(self, count: int) -> list[str]:
        return self.draw.choices(self.words, cum_weights=self._sums, k=count)

    def _rare(self, count: int) -> list[str]:
        return self.draw.choices(self.words[200 : len(self.words) // 4], k=count)

    def _joined(self, words: Sequence[str]) -> str:
        return (" " if self.is_spaced else "").join(words)


class HashEmbedder:
    """Deterministic vectors, at once."""

    id = SPACE

    async def embed(self, texts, *, is_query=False):
        from palaver.domain.embedders import Embedded

        return Embedded(tuple(map(vector, texts)))

    async def close(self) -> None:
        """Nothing runs."""


def vector(text: str) -> bytes:
    numbers = [byte - 127.5 for byte in hashlib.shake_256(text.encode()).digest(DIMENSIONS)]
    length = math.sqrt(sum(number * number for number in numbers))
    return struct.pack(f"<{DIMENSIONS}f", *(number / length for number in numbers))


async def _measure(url: str, on: str, *, quick: bool) -> list[Row]:
    from palaver.services.retrieval import RetrievalService
    from palaver.storage.migrate import migrate
    from palaver.storage.opening import open_database

    db = await open_database(url)
    await migrate(db)
    draw = random.Random(5)
    languages = [Language(name, draw) for name in LANGUAGES]
    chunks = 1_000 if quick else CHUNKS
    shares = list(LANGUAGES.values())
    texts = (language.text() for language in draw.choices(languages, shares, k=chunks))
    many = await _fill(db, "many", texts, chunks)
    few = await _fill(db, "few", (languages[0].text() for _ in range(FEW)), FEW)
    await _settle(db)
    spoken = draw.choices(languages, shares, k=20 if quick else QUERIES)
    questions = [
        language.question(is_common=number % 10 == 0) for number, language in enumerate(spoken)
    ]
    words, fused = RetrievalService(db), RetrievalService(db, HashEmbedder())
    rows = []
    for what, service, owner_id, target in (
        (f"full text over {chunks:,} chunks of one user, 200 questions", words, many, TEXT_TARGET),
        ("the same, fused with vectors of 256 dimensions", fused, many, FUSED_TARGET),
        (f"the same for a user with {FEW} chunks, beside that one", fused, few, None),
    ):
        p50, p95 = await _ask(service, owner_id, questions, 1 if quick else ROUNDS)
        rows.append(
            Row(
                what,
                on,
                f"p50 {p50:.1f} ms, p95 {p95:.1f} ms",
                f"p95 < {target:.0f} ms" if target else "",
                p95 < target if target else None,
            )
        )
    await db.close()
    return rows


async def _ask(service, owner_id: int, questions: Sequence[str], rounds: int) -> tuple[float, ...]:
    from palaver.domain.search import SearchKind

    measured = []
    for _ in range(1 + rounds):
        took = []
        for question in questions:
            begin = time.perf_counter()
            await service.find(owner_id, question, kind=SearchKind.CHUNK, limit=10)
            took.append((time.perf_counter() - begin) * 1e3)
        took.sort()
        measured.append((took[len(took) // 2], took[int(len(took) * 0.95)]))
    return tuple(statistics.median(values) for values in zip(*measured[1:], strict=True))


async def _fill(db, name: str, texts: Iterator[str], count: int) -> int:
    """Store and index the chunks of a user; return the user's id."""
    from palaver.domain.ranking import PART_BITS, terms
    from palaver.domain.search import SearchKind
    from palaver.domain.vectors import packed
    from palaver.kit.words import words
    from palaver.storage.statements import Statement
    from palaver.storage.tx import connection_of
    from palaver.storage.vectors import Lacking

    user = Statement(
        """insert into users (uuid, username, username_key, password_hash, role, created_at)
        values (:name, :name, :name, '', 'user', 0) returning id""",
        int,
    )
    document = Statement(
        """insert into documents
            (uuid, owner_id, title, mime_type, size_bytes, status, created_at, updated_at)
        values (:uuid, :owner_id, 'Bench', 'text/plain', 1, 'ready', 0, 0) returning id""",
        int,
    )
    chunk = Statement(
        """insert into chunks
            (id, document_id, owner_id, number, starts, ends, text, text_tokens)
        values (:id, :document_id, :owner_id, :id, 0, 1, :text, 1)"""
    )
    first = 1 if name == "many" else CHUNKS + 1
    async with db.transaction() as tx:
        owner_id = await connection_of(tx).one(user, name=name)
        document_id = await connection_of(tx).one(document, uuid=name, owner_id=owner_id)
    ids = range(first, first + count)
    for _, group in itertools.groupby(ids, lambda id: id >> PART_BITS):
        batch = dict(zip(group, texts, strict=False))
        place = {"document_id": document_id, "owner_id": owner_id}
        vectors = [(Lacking(id, owner_id, 0), packed(vector(text))) for id, text in batch.items()]
        entries = {id: terms(words(text), usual_length=200) for id, text in batch.items()}
        async with db.transaction() as tx:
            rows = [{**place, "id": id, "text": text} for id, text in batch.items()]
            await connection_of(tx).many(chunk, rows)
            await tx.postings.put(SearchKind.CHUNK, entries, owner_id=owner_id)
        async with db.transaction() as tx:
            await tx.vectors.put(SearchKind.CHUNK, vectors, space=SPACE)
        print(f"… {min(batch) - first + len(batch):,} chunks", file=sys.stderr, flush=True)
    return owner_id


async def _settle(db) -> None:
    """Let PostgreSQL know its tables, as its autovacuum does within a minute."""
    from palaver.storage.statements import Engine

    if db.engine is Engine.POSTGRESQL:
        import asyncpg

        raw = await asyncpg.connect(db._url)
        await raw.execute("vacuum analyze")
        await raw.close()
    await asyncio.sleep(0)
