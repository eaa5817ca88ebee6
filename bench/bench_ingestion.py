"""What does a big document cost those who chat meanwhile, and how soon is a small one found?

Unit: seconds from an upload to `ready`; milliseconds by which the p99 of a token's age at the
reader rises. Data: a PDF of 300 pages, about 550 words each; 100 readers at 20 tokens a second
each. The child that reads the file shares the server's core: no machine is worse off. Run:
python -m bench.run ingestion
"""

import asyncio
import json
import random
import re
import statistics
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

from bench.bench_streams import RATE, Run, _asks, _read
from bench.rows import Row
from bench.stage import Server, User, call, palaver, postgresql, register, run, upstream

PAGES = 300
WORDS = 550
STREAMS = 100
SECONDS = 10
ROUNDS = 3
SYLLABLES = re.findall("..", "bacedifoguhajekilomunaperisotuvawexiyozu")


def ingestion(*, on: str, quick: bool = False) -> Iterator[Row]:
    """Measure a PDF of 300 pages beside 100 streams, and a megabyte of text beside that PDF."""
    pages, count, rounds = (10, 5, 1) if quick else (PAGES, STREAMS, ROUNDS)
    pdf = a_pdf(pages)
    with tempfile.TemporaryDirectory() as folder, upstream() as upstream_port:
        if on == "SQLite":
            with palaver(Path(folder), upstream_port=upstream_port) as server:
                yield from _on(server, on, pdf, count, rounds)
        else:
            with (
                postgresql() as url,
                palaver(Path(folder), upstream_port=upstream_port, database_url=url) as server,
            ):
                yield from _on(server, on, pdf, count, rounds)


def _on(server: Server, on: str, pdf: bytes, count: int, rounds: int) -> Iterator[Row]:
    users = [register(server.port, f"reader{index}") for index in range(10)]
    _ages(server, users, 5, None)  # the first round warms everything up
    rises, times = [], []
    for _ in range(rounds):
        alone, _ = _ages(server, users, count, None)
        beside, seconds = _ages(server, users, count, pdf)
        rises.append(beside.p99 - alone.p99)
        times.append(seconds)
    rise, took = statistics.median(rises), statistics.median(times)
    yield Row(
        f"A PDF of {PAGES} pages, {count} streams beside it: upload to ready",
        on,
        f"{took:.1f} s",
        "< 20 s",
        took < 20,
    )
    yield Row(
        f"{count} streams: p99 of a token's age, by how much it rises meanwhile",
        on,
        f"{rise:.1f} ms (rounds: {', '.join(f'{each:.1f}' for each in rises)})",
        "< 10 ms",
        rise < 10,
    )
    text = a_text(random.Random(1), 180_000)[: 1 << 20].encode()
    idle = _until_ready(server, users[0], "note.txt", "text/plain", text)
    yield Row(
        "1 MB of text, nothing else to read: upload to ready",
        on,
        f"{idle:.1f} s",
        "< 10 s",
        idle < 10,
    )
    _upload(server, users[1], "big.pdf", "application/pdf", pdf)
    behind = _until_ready(server, users[2], "note.txt", "text/plain", text)
    yield Row(
        "1 MB of text beside somebody else's PDF: longer by",
        on,
        f"{behind - idle:.1f} s",
        "< 10 s",
        behind - idle < 10,
    )


def _ages(server: Server, users: list[User], count: int, pdf: bytes | None) -> tuple[Run, float]:
    """Read streams; with a PDF it is uploaded when all of them are live."""
    tokens = SECONDS * RATE
    asks = _asks(server, users, count, f"tokens={tokens} rate={RATE}")

    async def read() -> tuple[Run, float]:
        reading = asyncio.ensure_future(_read(server, asks, over_seconds=1.0))
        await asyncio.sleep(1.5)
        seconds = 0.0
        if pdf is not None:
            seconds = await asyncio.to_thread(
                _until_ready, server, users[0], "big.pdf", "application/pdf", pdf
            )
        return Run(await reading, tokens), seconds

    return run(read())


def _until_ready(server: Server, user: User, name: str, kind: str, content: bytes) -> float:
    begun = time.monotonic()
    id = _upload(server, user, name, kind, content)
    while True:
        document, _ = call(server.port, "GET", f"/api/palaver/documents/{id}", headers=user.headers)
        if document["status"] != "pending":
            if document["status"] != "ready":
                raise RuntimeError(document["error"])
            return time.monotonic() - begun
        time.sleep(0.05)


def _upload(server: Server, user: User, name: str, kind: str, content: bytes) -> str:
    border = uuid.uuid4().hex
    head = (
        f'--{border}\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n'
        f"content-type: {kind}\r\n\r\n"
    ).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/api/palaver/documents",
        data=head + content + f"\r\n--{border}--\r\n".encode(),
        method="POST",
        headers={"content-type": f"multipart/form-data; boundary={border}", **user.headers},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.loads(response.read())["id"]


def a_text(source: random.Random, words: int) -> str:
    """Make a text of invented words, some of them common, in sentences and paragraphs."""
    vocabulary = ["".join(source.choices(SYLLABLES, k=source.randint(1, 4))) for _ in range(8_000)]
    weights = [1 / (rank + 10) for rank in range(len(vocabulary))]
    found = source.choices(vocabulary, weights, k=words)
    text: list[str] = []
    for at, word in enumerate(found, 1):
        text.append(word)
        if at % 120 == 0:
            text.append(".\n\n")
        elif at % 12 == 0:
            text.append(".")
    return " ".join(text)


def a_pdf(pages: int) -> bytes:
    """Make a PDF of invented text."""
    from fpdf import FPDF

    source = random.Random(0)
    document = FPDF()
    document.set_font("helvetica", size=9)
    for number in range(1, pages + 1):
        document.add_page()
        document.set_font("helvetica", "B", size=16)
        document.cell(text=f"Chapter {number}", new_x="LMARGIN", new_y="NEXT")
        document.set_font("helvetica", size=9)
        document.multi_cell(0, 4, a_text(source, WORDS))
    return bytes(document.output())
