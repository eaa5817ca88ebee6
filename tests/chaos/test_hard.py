"""Hard times: a full disk, a stranger's lock, readers who never read, clients who never end."""

import asyncio
import contextlib
import resource
from collections.abc import Iterator

import apsw
import psutil
import pytest

from tests.chaos.checks import Judge, replayed_text
from tests.chaos.conftest import Reader
from tests.chaos.evidence import SQLiteWitness
from tests.chaos.load import PROVIDER
from tests.chaos.processes import House
from tests.chaos.provider import SPEECHES, told

MEBIBYTE = 2**20
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.contextmanager
def full_disk(house: House) -> Iterator[None]:
    """Let no file of the house grow: what is written beyond its first page fails."""
    _, most = resource.prlimit(house.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(house.pid, resource.RLIMIT_FSIZE, (4096, most))
    try:
        yield
    finally:
        resource.prlimit(house.pid, resource.RLIMIT_FSIZE, (most, most))


async def connect(house: House) -> Stream:
    """Open a bare connection."""
    return await asyncio.open_connection("127.0.0.1", house.port)


def memory(house: House) -> float:
    """Return the resident memory of the house in MiB."""
    return float(psutil.Process(house.pid).memory_info().rss) / MEBIBYTE


async def test_on_a_full_disk_nothing_is_shown_or_promised_that_is_not_stored(
    house: House, person: Reader
) -> None:
    talk = await person.begin_talk()
    reading, task = await person.begin_reading(talk, "steady")
    with full_disk(house):
        await asyncio.sleep(0.1)
        shown = len(reading.frames)
        status, _ = await person.call(
            "POST", f"/conversations/{talk}/messages", {"content": "Lost?"}
        )
        assert status >= 500
        status, messages = await person.call("GET", f"/conversations/{talk}/messages")
        assert (status, len(messages)) == (200, 1)  # type: ignore[arg-type]  # reading goes on
        await asyncio.sleep(0.5)
        assert len(reading.frames) - shown <= 1
    await task
    assert reading.done == "ok"
    assert told(replayed_text(reading.frames))[0][1] == SPEECHES["steady"].count - 1
    status, _ = await person.call("POST", f"/conversations/{talk}/messages", {"content": "Now?"})
    assert status == 200
    judge = Judge(person.record)
    judge.judge(await SQLiteWitness(house.folder / "palaver.db").see(), everything=True)
    assert not judge.verdict.violations, judge.verdict.violations


async def test_who_holds_the_database_for_long_delays_writes_and_nothing_else(
    house: House, person: Reader
) -> None:
    talk = await person.begin_talk()
    stranger = apsw.Connection(str(house.folder / "palaver.db"))
    stranger.execute("begin immediate")
    path = f"{house.port}/conversations/{talk}/messages"
    writes = [
        asyncio.ensure_future(
            person.session.post(
                f"http://127.0.0.1:{path}", json={"content": f"{n}"}, headers=person.headers
            )
        )
        for n in range(3)
    ]
    await asyncio.sleep(0.1)
    assert (await person.call("GET", f"/conversations/{talk}/messages"))[0] == 200
    for write in writes:
        response = await write
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0
    stranger.execute("rollback")
    stranger.close()
    _, messages = await person.call("GET", f"/conversations/{talk}/messages")
    assert isinstance(messages, list)
    assert len(messages) == 1
    status, _ = await person.call("POST", f"/conversations/{talk}/messages", {"content": "Now?"})
    assert status == 200


async def test_readers_who_never_read_cost_little(house: House, person: Reader) -> None:
    talk = await person.begin_talk()
    reading = await person.read_stream(talk, "huge")
    size = len(replayed_text(reading.frames).encode())
    assert size > MEBIBYTE
    before = memory(house)
    body = b'{"provider_id": "%b", "model": "huge"}' % PROVIDER.encode()
    streams: list[Stream] = []
    for _ in range(60):
        reader, writer = await connect(house)
        writer.write(
            b"POST /conversations/%d/stream HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 0\r\n"
            b"Content-Type: application/json\r\nCookie: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (talk, person.headers["cookie"].encode(), len(body), body)
        )
        await writer.drain()
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        streams.append((reader, writer))
    await asyncio.sleep(0.5)
    grown = memory(house) - before
    assert (await person.call("GET", f"/conversations/{talk}"))[0] == 200
    for _, writer in streams:
        writer.close()
    assert grown < 60 * size / MEBIBYTE / 2, f"{grown:.0f} MiB for 60 readers of {size} bytes"


async def test_idle_and_trickling_connections_keep_nobody_waiting(
    house: House, person: Reader
) -> None:
    before = memory(house)
    connections = [await connect(house) for _ in range(1_000)]
    for number, (_, writer) in enumerate(connections):
        if number % 2:
            writer.write(
                b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            )
        if number % 4 == 3:
            writer.write(b"Content-Length: 1000\r\n\r\n{")
        await writer.drain()
    talk = await person.begin_talk()
    assert (await person.read_stream(talk, "brisk")).done == "ok"
    assert memory(house) - before < 40
    for _, writer in connections:
        writer.close()


@pytest.mark.parametrize("beginning", [b"GET /health HTTP/1.1\r\nHost: x\r\nX-Endless: ", b"GET /"])
async def test_a_head_that_does_not_end_is_refused(house: House, beginning: bytes) -> None:
    before = memory(house)
    reader, writer = await connect(house)
    writer.write(beginning)
    with contextlib.suppress(ConnectionError):
        for _ in range(512):
            writer.write(b"a" * 65_536)
            await writer.drain()
    with contextlib.suppress(ConnectionError):
        assert (await reader.readline()) in {
            b"HTTP/1.1 431 Request Header Fields Too Large\r\n",
            b"",  # the refusal was lost among what was still being sent
        }
    writer.close()
    assert memory(house) - before < 8
    reader, writer = await connect(house)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: %b\r\n\r\n" % (b"a" * 30_000))
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    writer.close()
