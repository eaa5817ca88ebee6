"""Does a search find the passage that answers a question?

The documents and questions of `bench/retrieval` were written for this, and fixed before anything
was tuned. Unit: nDCG@10 and recall@5, in points of 100. What is found are chunks: those that hold
at least half of the passage, or lie in it for at least half of themselves, are right.

Full text alone, and fused with vectors: of the embedder that the operator's settings name, if they
do (PALAVER_EMBEDDING_MODEL, PALAVER_EMBEDDING_FOLDER), and in any case of `ConceptEmbedder`. That
one is no model: it knows which words of these very questions and passages mean the same, from a
list that was written with them. It proves that fusion brings in what only meaning finds, and that
it spoils nothing; of how good a real model is, it tells nothing.
Run: python -m bench.run quality; python -m bench.bench_quality --check compares with quality.json.
"""

import argparse
import asyncio
import hashlib
import json
import math
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.retrieval.corpus import Question, concepts, content, documents, questions
from bench.rows import Row
from bench.stage import postgresql, run

FIGURES = Path(__file__).parent / "quality.json"
TOP, FEW = 10, 5
LOSS_MAX = 1.0  # points that a change may lose
GAIN_MIN, COST_MAX = 5.0, 1.0  # points that a real embedder must bring, and may cost
KINDS = ("lexical", "paraphrased")
TEXT, CONCEPTS = "full text", "fused with the test embedder"


def quality(*, on: str, quick: bool = False) -> list[Row]:
    """Ask all questions, on one database."""
    figures = measured(on, quick=quick, with_operators=True)
    rows = []
    for way, kinds in figures.items():
        for kind, (ndcg, recall) in kinds.items():
            base = figures[TEXT][kind][0]
            target, is_met = "", None
            if way != TEXT:
                least = base + GAIN_MIN if kind == "paraphrased" else base - COST_MAX
                target, is_met = f"nDCG@10 ≥ {least:.1f}", ndcg >= least
            what = f"{sum(one.kind == kind for one in questions())} {kind} questions, {way}"
            rows.append(Row(what, on, f"nDCG@10 {ndcg:.1f}, recall@5 {recall:.1f}", target, is_met))
    return rows


def measured(
    on: str, *, quick: bool = False, with_operators: bool = False
) -> dict[str, dict[str, tuple[float, float]]]:
    """Return nDCG@10 and recall@5 by the way of searching and the kind of question."""
    given = [(ConceptEmbedder(), CONCEPTS)]
    if with_operators:
        given += [(embedder, f"fused with {embedder.id}") for embedder in _configured()]
    with tempfile.TemporaryDirectory() as folder:
        if on == "SQLite":
            return run(_measure(f"sqlite:///{Path(folder) / 'bench.db'}", given, quick=quick))
        with postgresql() as url:
            return run(_measure(url, given, quick=quick))


class ConceptEmbedder:
    """Adds up a vector for each group of `concepts.txt`, and a faint one for each other word."""

    id = "bench/concepts"
    dimensions = 256
    faint = 0.25

    def __init__(self) -> None:
        self._words: dict[str, int] = {}
        self._runs: dict[str, int] = {}  # Chinese, Japanese and whole phrases, wherever they stand
        for number, group in enumerate(concepts()):
            for word in group:
                (self._words if word.isascii() else self._runs).setdefault(word, number)

    async def embed(self, texts, *, is_query=False):
        from palaver.domain.embedders import Embedded

        return Embedded(tuple(map(self._vector, texts)))

    async def close(self) -> None:
        """Nothing runs."""

    def _vector(self, text: str) -> bytes:
        from palaver.kit.stems import stem

        found = content(text)
        known = {number for word, number in self._words.items() if stem(word) in found}
        known |= {number for run, number in self._runs.items() if run in text.casefold()}
        total = [1e-9] * self.dimensions
        for number in known:
            _add(total, f"concept {number}", 1.0)
        for word in found:
            _add(total, word, self.faint)
        length = math.sqrt(sum(number * number for number in total))
        return struct.pack(f"<{self.dimensions}f", *(number / length for number in total))


def _add(total: list[float], name: str, weight: float) -> None:
    drawn = hashlib.shake_256(name.encode()).digest(len(total))
    for place, byte in enumerate(drawn):
        total[place] += weight * (byte - 127.5) / 127.5


async def _measure(
    url: str, embedders, *, quick: bool
) -> dict[str, dict[str, tuple[float, float]]]:
    from palaver.services.retrieval import RetrievalService
    from palaver.storage.migrate import migrate
    from palaver.storage.opening import open_database

    db = await open_database(url)
    await migrate(db)
    owner_id, chunks = await _store(db)
    asked = questions()[:: 7 if quick else 1]
    figures = {TEXT: await _score(RetrievalService(db), owner_id, chunks, asked)}
    for embedder, way in embedders:
        await _embed(db, embedder)
        service = RetrievalService(db, embedder, embedding_seconds=60)
        figures[way] = await _score(service, owner_id, chunks, asked)
        await embedder.close()
    await db.close()
    return figures


def _configured():
    """Yield the operator's embedder, if one is set up."""
    from palaver.config import load
    from palaver.outbound.embedders import build

    settings = load()
    if settings.embedder is not None:
        yield build(settings.embedder)


async def _store(db) -> tuple[int, dict[int, tuple[str, int, int]]]:
    """Store the documents as ingestion cuts them; return their owner, and where chunks lie."""
    from palaver.domain.chunks import cut
    from palaver.domain.search import SearchKind
    from palaver.extraction.markdown import read_markdown
    from palaver.services.folding import Folder
    from palaver.storage.statements import Statement
    from palaver.storage.tx import connection_of

    user = Statement(
        """insert into users (uuid, username, username_key, password_hash, role, created_at)
        values ('q', 'q', 'q', '', 'user', 0) returning id""",
        int,
    )
    document = Statement(
        """insert into documents
            (uuid, owner_id, title, mime_type, size_bytes, status, created_at, updated_at)
        values (:name, :owner_id, :title, 'text/markdown', 1, 'ready', 0, 0) returning id""",
        int,
    )
    places = {}
    async with db.transaction() as tx:
        owner_id = await connection_of(tx).one(user)
    for name, text in documents().items():
        extracted = read_markdown(text.encode())
        assert extracted.text == text, "offsets are those of the file"
        parts = [(chunk, 1) for chunk in cut(extracted)]
        async with db.transaction() as tx:
            id = await connection_of(tx).one(
                document, name=name, owner_id=owner_id, title=extracted.title or name
            )
            ids = await tx.chunks.add(id, owner_id=owner_id, chunks=parts)
            await tx.search.enqueue_all(owner_id=owner_id, kind=SearchKind.CHUNK, refs=ids)
        for ref, (chunk, _) in zip(ids, parts, strict=True):
            places[ref] = (name, chunk.start, chunk.end)
    await Folder(db).fold_own(owner_id, [SearchKind.CHUNK])
    return owner_id, places


async def _embed(db, embedder) -> None:
    from palaver.domain.users import SYSTEM
    from palaver.services.embedding import EmbeddingService

    embedding = EmbeddingService(db, embedder)
    while pause := await embedding.embed_some(SYSTEM):
        if pause <= 1:
            break
        print(f"… the embedder fails; again in {pause:.0f} s", file=sys.stderr, flush=True)
        await asyncio.sleep(pause)
    while not await embedding.embed_some(SYSTEM):
        pass


async def _score(
    service, owner_id: int, chunks: dict[int, tuple[str, int, int]], asked: Sequence[Question]
) -> dict[str, tuple[float, float]]:
    from palaver.domain.search import SearchKind

    scores: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for one in asked:
        right = {ref for ref, place in chunks.items() if _is_right(one, place)}
        assert right, one
        found = await service.find(owner_id, one.question, kind=SearchKind.CHUNK, limit=TOP)
        refs = [hit.ref for hit in found.hits]
        scores[one.kind].append((_ndcg(refs, right), _recall(refs, right)))
    return {
        kind: tuple(round(100 * sum(values) / len(values), 1) for values in zip(*each, strict=True))
        for kind, each in scores.items()
    }


def _is_right(question: Question, place: tuple[str, int, int]) -> bool:
    name, start, end = place
    shared = min(end, question.end) - max(start, question.start)
    return name == question.document and (
        2 * shared >= min(question.end - question.start, end - start) > 0
    )


def _ndcg(refs: Sequence[int], right: set[int]) -> float:
    gains = [1 / math.log2(rank + 2) for rank in range(TOP)]
    got = sum(gain for gain, ref in zip(gains, refs, strict=False) if ref in right)
    return got / sum(gains[: len(right)])


def _recall(refs: Sequence[int], right: set[int]) -> float:
    return len(right & set(refs[:FEW])) / min(len(right), FEW)


def losses(before: dict, after: dict) -> list[str]:
    """Return a line for each figure that has lost more than a point."""
    return [
        f"{on}, {kind} questions, {way}: {name} was {was:.1f} and is {now:.1f}"
        for on, ways in before.items()
        for way, kinds in ways.items()
        for kind, figures in kinds.items()
        for name, was, now in zip(
            ("nDCG@10", "recall@5"), figures, after[on][way][kind], strict=True
        )
        if now < was - LOSS_MAX
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare with the figures that are kept.")
    parser.add_argument("--check", action="store_true", help="fail when more than a point is lost")
    parser.add_argument("--keep", action="store_true", help="keep the figures of now")
    given = parser.parse_args()
    begin = time.monotonic()
    after = {}
    for on in ("SQLite", "PostgreSQL"):
        figures = measured(on)
        after[on] = {way: figures[way] for way in (TEXT, CONCEPTS)}
    print(json.dumps(after, indent=1, ensure_ascii=False))
    if given.keep:
        FIGURES.write_text(json.dumps(after, indent=2) + "\n")
    lost = losses(json.loads(FIGURES.read_text()), after) if given.check else []
    for line in lost:
        print(f"Lost: {line}.", file=sys.stderr)
    if given.check and not lost:
        print(f"Nothing is lost ({time.monotonic() - begin:.0f} s).")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
