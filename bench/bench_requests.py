"""How many requests a second, beside a bare application that runs the same query?

Unit: requests per second as a share of the floor's, median of five rounds in turn (floor, Palaver,
floor …); CPU microseconds a request. Data: one user with 1,000 conversations, one of 200 messages;
then 100,000 conversations of others; for the search one user with 10,000 titles and messages.
Run: python -m bench.run requests
"""

import asyncio
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.client import Load, hammer, request
from bench.rows import Row
from bench.stage import Server, User, free_port, palaver, postgresql, register, run, started
from palaver.kit.ids import new_uuid
from palaver.storage.database import Database
from palaver.storage.opening import open_database
from palaver.storage.tx import connection_of

ROUNDS = 5
SECONDS = 2.0
CLIENTS = 16
WORDS = [
    "river",
    "stone",
    "window",
    "market",
    "letter",
    "garden",
    "engine",
    "winter",
    "music",
    "paper",
    "silver",
    "bridge",
    "harbor",
    "candle",
    "forest",
    "planet",
    "summer",
    "copper",
    "thunder",
    "meadow",
    "lantern",
    "violin",
    "compass",
    "orchard",
    "granite",
]


def requests(*, on: str, quick: bool = False) -> Iterator[Row]:
    """Measure lists, reads, creates and searches on one database."""
    seconds = 0.5 if quick else SECONDS
    rounds = 1 if quick else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        if on == "SQLite":
            yield from _on(Path(folder), None, on, seconds, rounds)
        else:
            with postgresql() as url:
                yield from _on(Path(folder), url, on, seconds, rounds)


def _on(folder: Path, url: str | None, on: str, seconds: float, rounds: int) -> Iterator[Row]:
    with palaver(folder, database_url=url) as server:
        user = register(server.port, "lister")
        searcher = register(server.port, "searcher")
        stranger = register(server.port, "stranger")
    database = url or str(folder / "palaver.db")
    conversation = asyncio.run(_fill(database, user.id, searcher.id))
    with palaver(folder, database_url=url) as server, _floor(database, user, conversation) as floor:
        cookie = user.headers
        listing = request("GET", "/conversations?limit=50", cookie)
        reading = request("GET", f"/conversations/{conversation}/messages", cookie)
        _assert_same(server, floor, listing, "/list")
        _assert_same(server, floor, reading, "/messages")
        share, lone, bare = _compare(server, floor, listing, "/list", seconds, rounds)
        yield _share("list the 50 newest of 1,000 conversations", on, share, 50)
        share, _, _ = _compare(server, floor, reading, "/messages", seconds, rounds)
        yield _share("read a conversation of 200 messages", on, share, 50)
        yield _search(server, searcher, on, 40 if seconds < 1 else 400)
    asyncio.run(_crowd(database, stranger.id))
    with palaver(folder, database_url=url) as server, _floor(database, user, conversation) as floor:
        _, crowded, bare_crowded = _compare(server, floor, listing, "/list", seconds, rounds)
    # What has grown for the floor as well is the machine: a database that is busy cleaning up.
    ratio = (crowded / bare_crowded) / (lone / bare)
    yield (
        Row(
            "the same list with 100,000 conversations of others: CPU a request",
            on,
            f"{crowded:.0f} µs against {lone:.0f}, the floor's {bare_crowded:.0f} against "
            f"{bare:.0f} ({ratio:.2f} times)",
            "≤ 1.15 times",
            ratio <= 1.15,
        )
    )
    # The floor writes to a file of its own: a SQLite file has one writer at a time.
    copy = url or shutil.copy(database, folder / "floor.db")
    with palaver(folder, database_url=url) as server, _floor(copy, user, conversation) as floor:
        yield _create(server, floor, user, on, seconds, rounds)


def _floor(database: str, user: User, conversation: int):
    port = free_port()
    arguments = [
        "-m",
        "bench.floors.requests",
        str(port),
        database,
        str(user.id),
        str(conversation),
    ]
    return started(arguments, port)


def _assert_same(server: Server, floor: Server, ours: bytes, path: str) -> None:
    async def both() -> tuple[bytes, bytes]:
        from bench.client import connect

        mine = await (await connect(server.port)).ask(ours)
        theirs = await (await connect(floor.port)).ask(request("GET", path))
        return mine[1], theirs[1]

    mine, theirs = run(both())
    assert mine == theirs, f"{path}: {mine[:300]!r} is not {theirs[:300]!r}"


def _cpu(server: Server, make: Callable[[int], bytes], seconds: float) -> tuple[Load, float]:
    """Return the load and the server's CPU microseconds a request."""
    before = server.cpu_seconds
    load = run(hammer(server.port, make, clients=CLIENTS, seconds=seconds))
    assert not load.errors, f"{load.errors} errors"
    return load, (server.cpu_seconds - before) * 1e6 / load.count


def _compare(
    server: Server, floor: Server, ours: bytes, path: str, seconds: float, rounds: int
) -> tuple[float, float, float]:
    """Return the median share of the floor's rate, and CPU microseconds a request, ours and its."""
    bare = request("GET", path)
    _cpu(server, lambda _: ours, seconds / 3)
    _cpu(floor, lambda _: bare, seconds / 3)
    shares, costs, floor_costs = [], [], []
    for _ in range(rounds):
        below, floor_cost = _cpu(floor, lambda _: bare, seconds)
        above, cost = _cpu(server, lambda _: ours, seconds)
        shares.append(above.rate / below.rate)
        costs.append(cost)
        floor_costs.append(floor_cost)
    return statistics.median(shares), statistics.median(costs), statistics.median(floor_costs)


def _share(what: str, on: str, share: float, target: int) -> Row:
    return Row(what, on, f"{share:.0%} of the floor's rate", f"≥ {target} %", share * 100 >= target)


def _create(server: Server, floor: Server, user: User, on: str, seconds: float, rounds: int) -> Row:
    body = b'{"title":"A conversation"}'
    ours = request("POST", "/conversations", user.headers, body)
    bare = request("POST", "/create", None, body)
    shares, errors = [], 0
    for _ in range(rounds):
        below = run(hammer(floor.port, lambda _: bare, clients=50, seconds=seconds))
        above = run(hammer(server.port, lambda _: ours, clients=50, seconds=seconds))
        shares.append(above.rate / below.rate)
        errors += above.errors
    share = statistics.median(shares)
    return Row(
        "create a conversation, 50 clients at once",
        on,
        f"{share:.0%} of the floor's rate, {errors} errors",
        "≥ 40 %, 0 errors",
        share >= 0.4 and errors == 0,
    )


def _search(server: Server, user: User, on: str, count: int) -> Row:
    from bench.client import connect, percentile

    random.seed(7)
    words = [" ".join(random.sample(WORDS, 1 + i % 2)) for i in range(count)]

    async def ask() -> list[float]:
        client = await connect(server.port)
        found = []
        for text in words:
            path = f"/api/palaver/search?q={text.replace(' ', '%20')}&limit=50"
            begun = time.perf_counter()
            status, _ = await client.ask(request("GET", path, user.headers))
            assert status == 200, status
            found.append((time.perf_counter() - begun) * 1000)
        return found

    times = run(ask())[count // 10 :]
    p95 = percentile(times, 0.95)
    return Row(
        "search 10,000 titles and messages of one user, 50 hits returned",
        on,
        f"p50 {percentile(times, 0.5):.1f} ms, p95 {p95:.1f} ms",
        "p95 < 10 ms",
        p95 < 10,
    )


# Data: written by plain statements, since 100,000 requests would take minutes

_CONVERSATION = """insert into conversations
    (uuid, owner_id, title, title_key, created_at, updated_at)
    values (:uuid, :owner_id, :title, :title, :at, :at)"""
_MESSAGE = """insert into messages (uuid, conversation_id, owner_id, parent_id, role, text,
    prompt_tokens, completion_tokens, created_at)
    values (:uuid, :conversation_id, :owner_id, :parent_id, :role, :text, :prompt, :completion, :at)
    returning id"""


async def _fill(database: str, owner_id: int, searcher_id: int) -> int:
    from palaver.domain.search import SearchKind
    from palaver.domain.users import SYSTEM
    from palaver.services.search import SearchService
    from palaver.storage.statements import Statement

    random.seed(1)
    db = await open_database(database)
    insert = Statement(_MESSAGE, int)
    await _conversations(db, owner_id, 1_000)
    await _conversations(db, searcher_id, 1_000)
    newest = Statement("select max(id) from conversations where owner_id = :owner_id", int)
    async with db.transaction() as tx:
        conversation = await connection_of(tx).one(newest, owner_id=owner_id)
        parent = None
        for index in range(200):
            parent = await connection_of(tx).one(
                insert,
                uuid=new_uuid(),
                conversation_id=conversation,
                owner_id=owner_id,
                parent_id=parent,
                role="assistant" if index % 2 else "user",
                text=_text(40),
                prompt=100 if index % 2 else None,
                completion=50 if index % 2 else None,
                at=1_700_000_000_000_000 + index * 1_000_003,
            )
    async with db.transaction() as tx:
        theirs = await connection_of(tx).one(newest, owner_id=searcher_id)
    for _ in range(9):
        async with db.transaction() as tx:
            for _ in range(1_000):
                id = await connection_of(tx).one(
                    insert,
                    uuid=new_uuid(),
                    conversation_id=theirs,
                    owner_id=searcher_id,
                    parent_id=None,
                    role="user",
                    text=_text(12),
                    prompt=None,
                    completion=None,
                    at=1_700_000_000_000_000,
                )
                await tx.search.enqueue(owner_id=searcher_id, kind=SearchKind.MESSAGE, ref=id)
    search = SearchService(db)
    while await search.fold(SYSTEM):
        pass
    await db.close()
    return conversation


async def _crowd(database: str, owner_id: int) -> None:
    db = await open_database(database)
    await _conversations(db, owner_id, 100_000)
    await db.close()


async def _conversations(db: Database, owner_id: int, count: int) -> None:
    from palaver.storage.statements import Statement

    statement: Statement[None] = Statement(_CONVERSATION)
    for begin in range(0, count, 5_000):
        async with db.transaction() as tx:
            await connection_of(tx).many(
                statement,
                [
                    {
                        "uuid": new_uuid(),
                        "owner_id": owner_id,
                        "title": _text(4),
                        "at": 1_700_000_000_000_000 + index * 1_000_003,
                    }
                    for index in range(begin, min(begin + 5_000, count))
                ],
            )


def _text(words: int) -> str:
    return " ".join(random.choice(WORDS) for _ in range(words))
