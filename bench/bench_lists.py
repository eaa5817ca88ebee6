"""How many nested lists a second, beside a bare application that runs the same queries?

Unit: requests per second as a share of the floor's, median of five rounds in turn (floor, Palaver,
floor …). Data: one user with 20 sessions of 50 exchanges each (`GET /api/v1/chat/sessions/`), one
with 1,000 conversations (`GET /api/chat-sessions/`); messages of 10 and 40 words.
Run: python -m bench.run lists
"""

import asyncio
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.bench_requests import ROUNDS, SECONDS, _assert_same, _compare, _share, _text
from bench.client import request
from bench.rows import Row
from bench.stage import User, free_port, palaver, postgresql, register, started
from palaver.kit.ids import new_uuid
from palaver.storage.opening import open_database
from palaver.storage.statements import Statement
from palaver.storage.tx import connection_of

TALKS, EXCHANGES, CONVERSATIONS = 20, 50, 1_000
BEGIN = 1_700_000_000_000_000


def lists(*, on: str, quick: bool = False) -> Iterator[Row]:
    """Measure both lists on one database."""
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
        talker = register(server.port, "talker")
        lister = register(server.port, "lister")
    database = url or str(folder / "palaver.db")
    asyncio.run(_fill(database, talker, lister))
    with (
        palaver(folder, database_url=url) as server,
        _floor(database, talker, lister) as floor,
    ):
        talks = request("GET", "/api/v1/chat/sessions/", talker.headers)
        _assert_same(server, floor, talks, "/sessions")
        share, _, _ = _compare(server, floor, talks, "/sessions", seconds, rounds)
        yield _share("`sessions`: list 20 sessions of 50 exchanges each", on, share, 50)
        listing = request("GET", "/api/chat-sessions/", lister.headers)
        _assert_same(server, floor, listing, "/chat-sessions")
        share, _, _ = _compare(server, floor, listing, "/chat-sessions", seconds, rounds)
        yield _share("`subscriptions`: list 1,000 sessions", on, share, 50)


def _floor(database: str, talker: User, lister: User):
    port = free_port()
    arguments = ["-m", "bench.floors.lists", str(port), database, str(talker.id), str(lister.id)]
    return started(arguments, port)


_CONVERSATION = Statement(
    """insert into conversations (uuid, owner_id, title, title_key, model, created_at, updated_at)
    values (:uuid, :owner_id, :title, :title, 'demo/demo', :at, :at) returning id""",
    int,
)
_MESSAGE = Statement(
    """insert into messages (uuid, conversation_id, owner_id, parent_id, role, text, created_at)
    values (:uuid, :conversation_id, :owner_id, :parent_id, :role, :text, :at) returning id""",
    int,
)


async def _fill(database: str, talker: User, lister: User) -> None:
    random.seed(1)
    db = await open_database(database)
    async with db.transaction() as tx:
        connection = connection_of(tx)

        async def conversation(owner: User, number: int) -> int | None:
            at = BEGIN + number * 1_000_003
            values = {"uuid": new_uuid(), "owner_id": owner.id, "title": _text(4), "at": at}
            return await connection.one(_CONVERSATION, **values)

        for number in range(CONVERSATIONS):
            await conversation(lister, number)
        for number in range(TALKS):
            id = await conversation(talker, number)
            parent = None
            for index in range(2 * EXCHANGES):
                parent = await connection.one(
                    _MESSAGE,
                    uuid=new_uuid(),
                    conversation_id=id,
                    owner_id=talker.id,
                    parent_id=parent,
                    role="assistant" if index % 2 else "user",
                    text=_text(40 if index % 2 else 10),
                    at=BEGIN + index * 1_000_003,
                )
    await db.close()
