"""The process that reads: what it may take, and what is left of it."""

import asyncio
import sys
from pathlib import Path

import psutil
import pytest

from palaver.domain.extraction import ExtractionError
from palaver.outbound import extractor as module
from palaver.outbound.extractor import ChildExtractor, Limits, build
from tests.extraction.files import PDF, a_book

BUSY = b"<li>a" * 200_000
"""An honest page that takes more than a second: it has so many items."""


def children() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if "palaver.extraction" in " ".join(child.cmdline())
    ]


async def started() -> psutil.Process:
    """Return the one process that reads, once it does."""
    async with asyncio.timeout(10):
        while not (found := children()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return found[0]


async def test_a_file_is_read_from_its_path(extractor: ChildExtractor, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(a_book(3))
    assert (await extractor.extract(path, PDF)).text.startswith("Chapter 1")
    with pytest.raises(FileNotFoundError):
        await extractor.extract(tmp_path / "none", PDF)
    assert children() == []


async def test_too_much_memory_is_not_given() -> None:
    small = build(Limits(memory_bytes=200 << 20))
    with pytest.raises(ExtractionError, match=r"too much memory|damaged"):
        await small.extract(b"word " * 4_000_000, "text/plain")
    assert (await small.extract(b"word", "text/plain")).text == "word"


async def test_a_process_that_only_waits_is_ended() -> None:
    stopped = build(Limits(wall_seconds=2))
    reading = asyncio.ensure_future(stopped.extract(BUSY, "text/html"))
    (await started()).suspend()
    with pytest.raises(ExtractionError, match="too long"):
        await reading
    assert children() == []


async def test_a_small_file_gets_seconds_and_a_large_one_what_its_size_is_worth() -> None:
    limits = Limits()
    assert limits.wall_of(1 << 20) < 10
    assert limits.wall_of((1 << 20) + 1) > 10
    assert limits.wall_of(32 << 20) == limits.cpu_of(32 << 20) * limits.wall_factor


async def test_nothing_is_left_of_what_nobody_waits_for(extractor: ChildExtractor) -> None:
    reading = asyncio.ensure_future(extractor.extract(BUSY, "text/html"))
    await started()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert children() == []


async def test_closing_ends_what_runs(extractor: ChildExtractor) -> None:
    reading = asyncio.ensure_future(extractor.extract(BUSY, "text/html"))
    await started()
    await extractor.close()
    with pytest.raises(OSError, match="is closed"):
        await reading
    with pytest.raises(OSError, match="is closed"):
        await extractor.extract(b"x", "text/plain")
    assert children() == []


async def test_a_process_gets_nothing_of_ours(
    extractor: ChildExtractor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    kept = (tmp_path / "database").open("w")
    reading = asyncio.ensure_future(extractor.extract(BUSY, "text/html"))
    child = await started()
    async with asyncio.timeout(10):
        # Its limits come with its job, and this is the last of them.
        while child.nice() == psutil.Process().nice():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert "OPENAI_API_KEY" not in child.environ()
    assert child.open_files() == []
    assert child.rlimit(psutil.RLIMIT_FSIZE) == child.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert child.rlimit(psutil.RLIMIT_AS) == (1 << 30, 1 << 30)
    assert child.cwd() == "/"
    kept.close()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_small_file_does_not_wait_for_a_large_one() -> None:
    extractor = build(Limits(large_bytes=1000))
    large = asyncio.ensure_future(extractor.extract(BUSY, "text/html"))
    waiting = asyncio.ensure_future(extractor.extract(b"large " * 1000, "text/plain"))
    (await started()).suspend()
    assert (await extractor.extract(b"small", "text/plain")).text == "small"
    assert not large.done()
    assert not waiting.done()
    large.cancel()
    with pytest.raises(asyncio.CancelledError):
        await large
    assert (await waiting).text.startswith("large")


TALK = (
    "from palaver.domain.reading import *; from palaver.kit.frames import frame; import os, sys; "
)
BEGIN = TALK + "say = sys.stdout.buffer.write; say(frame(Progress(0.0))); sys.stdout.flush(); "
NONSENSE = (
    "say(b'\\xff' * 100)",
    "say(b'\\0\\0\\0\\3abc')",
    "say(b'\\0\\0\\0\\xffabc')",
    "say(frame(Tripped('KeyError')))",
    "say(frame(Piece('a\\0b')) + frame(Done(None)))",
    "os.abort()",
    "pass",
)


@pytest.mark.parametrize("code", NONSENSE)
async def test_a_process_that_talks_nonsense_is_not_believed(
    extractor: ChildExtractor, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(module, "_COMMAND", ("-I", "-c", BEGIN + code))
    with pytest.raises(ExtractionError, match="is damaged"):
        await extractor.extract(b"x" * 10_000_000, "text/plain")
    with pytest.raises(ExtractionError, match="is damaged"):
        await extractor.clean_image(b"x")


@pytest.mark.parametrize("code", ["pass", "sys.exit(1)", "say(frame(Tripped('ImportError')))"])
async def test_no_file_is_blamed_for_a_process_that_does_not_start(
    extractor: ChildExtractor, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    start = TALK + "say = sys.stdout.buffer.write; "
    monkeypatch.setattr(module, "_COMMAND", ("-I", "-c", start + code))
    with pytest.raises(OSError, match="does not start"):
        await extractor.extract(b"x", "text/plain")


async def test_spans_that_do_not_fit_the_text_are_not_believed(
    extractor: ChildExtractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = BEGIN + "say(frame(Piece('text', spans=({},))) + frame(Done(None)))"
    for span in ("Span(0, 5)", "Span(-1, 3)", "Span(3, 2)", "Span(0, 2), Span(1, 3)"):
        monkeypatch.setattr(module, "_COMMAND", ("-I", "-c", code.format(span)))
        with pytest.raises(ExtractionError, match="is damaged"):
            await extractor.extract(b"x", "text/plain")
    monkeypatch.setattr(module, "_COMMAND", ("-I", "-c", code.format("Span(0, 4)")))
    assert (await extractor.extract(b"x", "text/plain")).text == "text"


def test_the_server_parses_nothing_of_a_file() -> None:
    parsers = {"pypdfium2", "selectolax.lexbor", "mammoth"}
    code = "import sys, palaver.outbound.extractor; print(*sys.modules)"
    loaded = psutil.Popen([sys.executable, "-c", code], stdout=-1).communicate()[0].decode().split()
    assert not parsers & set(loaded)
    assert "palaver.extraction" not in loaded
