"""The floor of a request: the same query by the bare driver, the same bytes, nothing else.

GET /list, GET /messages and POST /create, on the database that Palaver has filled; waiting inserts
share one COMMIT. Run: python -m bench.floors.requests PORT DATABASE_URL OWNER_ID CONVERSATION_ID
"""

import asyncio
import sys
import time
import uuid
from itertools import starmap

import msgspec
import uvicorn

from palaver.kit.clock import iso_text  # the same bytes, by the cheapest way that we know

LIST = """select id, uuid, owner_id, title, system_prompt, active_message_id, model, created_at,
    updated_at from conversations where owner_id = {0} and deleted_at is null
    order by updated_at desc, id desc limit {1} offset 0"""
MESSAGES = """select id, uuid, conversation_id, parent_id, role, text, text_tokens, model,
    prompt_tokens, completion_tokens, is_active, is_hidden, created_at, edited_at from messages
    where conversation_id = {0} and is_active = 1 and is_hidden = 0 and deleted_at is null
    order by id desc limit {1}"""
INSERT = """insert into conversations (uuid, owner_id, title, title_key, created_at, updated_at)
    values ({0}, {1}, {2}, {3}, {4}, {4}) returning id"""


class Conversation(msgspec.Struct, gc=False):
    id: int
    title: str
    created_at: str
    updated_at: str


class TokenUsage(msgspec.Struct, gc=False):
    total_tokens: int


class Question(msgspec.Struct, gc=False):
    id: int
    role: str
    content: str
    created_at: str


class Answer(msgspec.Struct, gc=False):
    id: int
    role: str
    content: str
    token_usage: TokenUsage
    created_at: str


encode = msgspec.json.Encoder().encode


def conversation(id, _uuid, _owner, title, _system, _active, _model, created, updated):
    return Conversation(id, title or "New Conversation", iso_text(created), iso_text(updated))


def message(id, _u, _c, _p, role, text, _t, _m, prompt, completion, _a, _h, created, _e):
    if role == "assistant":
        total = (prompt or 0) + (completion or 0)
        return Answer(id, role, text, TokenUsage(total), iso_text(created))
    return Question(id, role, text, iso_text(created))


class SQLiteFloor:
    """Reads on the loop; inserts that wait share one COMMIT, made in a thread."""

    def __init__(self, url: str) -> None:
        import apsw

        self.reader = apsw.Connection(url, flags=apsw.SQLITE_OPEN_READONLY)
        self.path = url
        self.writer = None
        self.batch: list[asyncio.Future[None]] = []
        self.committing = False
        self.turn: list[asyncio.Future[None]] = []

    def rows(self, sql, values):
        return self.reader.execute(sql.format("?1", "?2"), values).fetchall()

    async def list(self, owner, limit):
        return list(starmap(conversation, self.rows(LIST, (owner, limit))))

    async def messages(self, id, limit):
        found = list(starmap(message, self.rows(MESSAGES, (id, limit))))
        found.reverse()
        return found

    async def insert(self, owner, title):
        import apsw

        if self.writer is None:
            self.writer = apsw.Connection(self.path)
            self.writer.pragma("journal_mode", "wal")
            self.writer.pragma("synchronous", "full")
        while self.committing:
            waiter = asyncio.get_running_loop().create_future()
            self.turn.append(waiter)
            await waiter
        if not self.batch:
            self.writer.execute("begin immediate")
            asyncio.get_running_loop().call_soon(self.close)
        at = time.time_ns() // 1000
        values = (str(uuid.uuid4()), owner, title, title.lower(), at)
        id = self.writer.execute(INSERT.format("?1", "?2", "?3", "?4", "?5"), values).get
        done = asyncio.get_running_loop().create_future()
        self.batch.append(done)
        await done
        return Conversation(id, title, iso_text(at), iso_text(at))

    def close(self):
        batch, self.batch = self.batch, []
        self.committing = True
        loop = asyncio.get_running_loop()

        def settle(_):
            self.committing = False
            for done in batch:
                done.set_result(None)
            turn, self.turn = self.turn, []
            for waiter in turn:
                waiter.set_result(None)

        loop.run_in_executor(None, self.writer.execute, "commit").add_done_callback(settle)


class PostgreSQLFloor:
    """A pool of bare connections; an insert is one statement, committed by itself."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pool = None
        self.lock = asyncio.Lock()

    async def connected(self):
        import asyncpg

        async with self.lock:  # the first requests come together
            if self.pool is None:
                self.pool = await asyncpg.create_pool(self.url, min_size=20, max_size=20)
        return self.pool

    async def list(self, owner, limit):
        pool = await self.connected()
        rows = await pool.fetch(LIST.format("$1", "$2"), owner, limit)
        return list(starmap(conversation, rows))

    async def messages(self, id, limit):
        pool = await self.connected()
        found = list(starmap(message, await pool.fetch(MESSAGES.format("$1", "$2"), id, limit)))
        found.reverse()
        return found

    async def insert(self, owner, title):
        pool = await self.connected()
        at = time.time_ns() // 1000
        id = await pool.fetchval(
            INSERT.format("$1", "$2", "$3", "$4", "$5"),
            str(uuid.uuid4()),
            owner,
            title,
            title.lower(),
            at,
        )
        return Conversation(id, title, iso_text(at), iso_text(at))


class Floor:
    def __init__(self, url: str, owner: int, conversation_id: int) -> None:
        is_postgresql = url.startswith("postgresql:")
        self.db = PostgreSQLFloor(url) if is_postgresql else SQLiteFloor(url)
        self.owner = owner
        self.conversation_id = conversation_id

    async def __call__(self, scope, receive, send) -> None:
        if scope["method"] == "POST":
            body = (await receive())["body"]
            found = await self.db.insert(self.owner, msgspec.json.decode(body)["title"])
        elif scope["path"] == "/messages":
            found = await self.db.messages(self.conversation_id, 1000)
        elif scope["path"] == "/list":
            found = await self.db.list(self.owner, 50)
        else:
            found = "ok"
        body = encode(found)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    port, url, owner, conversation_id = sys.argv[1:]
    uvicorn.run(
        Floor(url, int(owner), int(conversation_id)),
        port=int(port),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )
