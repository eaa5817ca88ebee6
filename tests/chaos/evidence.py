"""What the database holds, read from outside: past Palaver's own code, and past its connections."""

import asyncio
import json
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import apsw
import asyncpg

from tests.chaos import books
from tests.chaos.books import Books, Line


class Row(NamedTuple):
    """A generation."""

    id: int
    uuid: str
    owner_id: int
    conversation_id: int
    message_id: int
    answer_id: int
    state: str
    worker: int | None
    attempt: int
    cancel_requested_at: int | None
    outline: str | None
    model: str
    recipe: str

    @property
    def is_live(self) -> bool:
        """Tell whether it has not ended."""
        return self.state in {"queued", "running"}

    @property
    def max_tokens(self) -> int:
        """Return how long its answer may be."""
        return int(json.loads(self.recipe)["max_tokens"])


class Message(NamedTuple):
    """A message."""

    id: int
    conversation_id: int
    role: str
    text: str
    reasoning: str | None
    is_active: int
    is_hidden: int
    prompt_tokens: int | None
    completion_tokens: int | None


class Logged(NamedTuple):
    """A row of the log."""

    generation_id: int
    until: int
    kind: int
    body: str


@dataclass
class Evidence:
    """One state of the database."""

    conversations: dict[int, tuple[str | None, int | None]]  # title, deleted_at
    messages: dict[int, Message]
    generations: dict[int, Row]
    books: Books
    log: dict[int, list[Logged]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)  # what the engine itself finds wrong

    def of(self, uuid: str) -> Row | None:
        """Return the generation with this uuid."""
        return self._by_uuid.get(uuid)

    @property
    def live(self) -> list[int]:
        """Return the runs that have not ended."""
        return [row.id for row in self.generations.values() if row.is_live]

    def __post_init__(self) -> None:
        self._by_uuid = {row.uuid: row for row in self.generations.values()}
        self.reservations = {held.generation_id for held in self.books.held}
        self.entries: dict[int | None, list[Line]] = defaultdict(list)  # by generation
        for line in self.books.lines:
            self.entries[line.generation_id].append(line)


SELECTS: Final = {
    "conversations": "select id, title, deleted_at from conversations",
    "messages": """select id, conversation_id, role, text, reasoning, is_active, is_hidden,
        prompt_tokens, completion_tokens from messages""",
    "generations": """select id, uuid, owner_id, conversation_id, message_id, answer_id, state,
        worker, attempt, cancel_requested_at, outline, model, recipe from generations""",
    **books.SELECTS,
}

# On SQLite the process lock proves that no other worker lives; leases mean nothing there.
ORPHANS: Final = {
    "sqlite": """select id, worker, attempt from generations
        where state = 'queued' or (state = 'running' and worker in (
            select id from workers where dead_at is not null
            or id < (select max(id) from workers)))""",
    "postgresql": """select g.id, g.worker, g.attempt from generations g
        left join workers w on w.id = g.worker
        where g.state = 'queued' or (g.state = 'running' and (w.dead_at is not null
            or w.lease_until < extract(epoch from clock_timestamp()) * 1000000))""",
}

HELD: Final = "select id from reservations order by id"

# Foreign keys are checked when they are written; this looks at what stands.
DANGLING: Final = (
    "select count(*) from messages m left join conversations c on c.id = m.conversation_id where c.id is null",
    "select count(*) from messages m left join messages p on p.id = m.parent_id where m.parent_id is not null and p.id is null",
    "select count(*) from generations g left join conversations c on c.id = g.conversation_id where c.id is null",
    "select count(*) from generations g left join messages a on a.id = g.answer_id and a.role = 'assistant' where a.id is null",
    "select count(*) from generations g left join messages q on q.id = g.message_id and q.role = 'user' where q.id is null",
    "select count(*) from reservations r left join generations g on g.id = r.generation_id where r.generation_id is not null and g.id is null",
    "select count(*) from conversations c left join messages m on m.id = c.active_message_id and m.conversation_id = c.id where c.active_message_id is not null and m.id is null and c.deleted_at is null",
)


class Witness(Protocol):
    """Reads one database from outside."""

    async def see(self) -> Evidence:
        """Return the whole state; of the log what has not been settled."""

    async def orphans(self) -> list[tuple[int, int | None, int]]:
        """Return the runs that nobody drives: id, worker, attempt."""

    async def held(self) -> list[int]:
        """Return the reservations, by their ids."""

    async def execute(self, sql: str) -> None:
        """Change something by hand."""

    async def close(self) -> None:
        """Give up what is held."""


def _evidence(tables: dict[str, list[Any]], log: dict[int, list[Logged]]) -> Evidence:
    return Evidence(
        conversations={row[0]: (row[1], row[2]) for row in tables["conversations"]},
        messages={row[0]: Message(*row) for row in tables["messages"]},
        generations={row[0]: Row(*row) for row in tables["generations"]},
        books=Books.of(tables, at=time.time_ns() // 1000),
        log=log,
    )


class SQLiteWitness:
    """Looks at a copy, so that Palaver alone recovers the database after a kill."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log: dict[int, list[Logged]] = defaultdict(list)
        self._last = 0

    async def see(self) -> Evidence:
        """Return the state at this moment; nobody may be writing."""
        return await asyncio.to_thread(self._see)

    def _see(self) -> Evidence:
        with tempfile.TemporaryDirectory(prefix="palaver-chaos-") as folder:
            for suffix in ("", "-wal"):
                if (file := Path(f"{self.path}{suffix}")).exists():
                    shutil.copyfile(file, Path(folder) / f"copy.db{suffix}")
            db = apsw.Connection(f"{folder}/copy.db")
            try:
                return self._read(db)
            finally:
                db.close()

    def _read(self, db: apsw.Connection) -> Evidence:
        tables = {name: list(db.execute(sql)) for name, sql in SELECTS.items()}
        sql = "select id, generation_id, until, kind, body from generation_events where id > ?"
        for id, *row in db.execute(f"{sql} order by id", (self._last,)):  # ours
            self._log[row[0]].append(Logged(*row))
            self._last = id
        seen = _evidence(tables, self._log)
        for check in ("integrity_check", "foreign_key_check"):
            rows = [row for row in db.execute(f"pragma {check}") if row != ("ok",)]
            seen.faults += [f"{check}: {row}" for row in rows]
        seen.faults += [sql for sql in DANGLING if next(iter(db.execute(sql))) != (0,)]
        return seen

    async def orphans(self) -> list[tuple[int, int | None, int]]:
        """Ask the living database."""
        return self._ask(ORPHANS["sqlite"])

    async def held(self) -> list[int]:
        """Ask the living database."""
        return [id for (id,) in self._ask(HELD)]

    def _ask(self, sql: str) -> list[Any]:
        db = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            db.set_busy_timeout(2_000)
            return list(db.execute(sql))
        finally:
            db.close()

    async def execute(self, sql: str) -> None:
        """Write one short transaction, as any stranger may."""
        db = apsw.Connection(str(self.path))
        try:
            db.set_busy_timeout(5_000)
            db.execute(sql)
        finally:
            db.close()

    async def close(self) -> None:
        """Nothing is held."""


class PostgreSQLWitness:
    """Looks through a connection of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: asyncpg.Connection | None = None
        self._turn = asyncio.Lock()  # the one who watches and the one who judges share it
        self._settled: dict[int, list[Logged]] = {}

    async def _open(self) -> asyncpg.Connection:
        if self._connection is None:
            self._connection = await asyncpg.connect(self.url)
        return self._connection

    async def see(self) -> Evidence:
        """Return one snapshot; what ended runs have logged is read once."""
        async with self._turn:
            return await self._see(await self._open())

    async def _see(self, connection: asyncpg.Connection) -> Evidence:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            tables = {
                name: [tuple(row) for row in await connection.fetch(sql)]
                for name, sql in SELECTS.items()
            }
            ids = [row[0] for row in tables["generations"] if row[0] not in self._settled]
            rows = await connection.fetch(
                """select generation_id, until, kind, body from generation_events
                where generation_id = any($1::bigint[]) order by generation_id, until""",
                ids,
            )
            dangling = [sql for sql in DANGLING if await connection.fetchval(sql) != 0]
        log: dict[int, list[Logged]] = defaultdict(list)
        for row in rows:
            log[row[0]].append(Logged(*row))
        seen = _evidence(tables, {**self._settled, **log})
        seen.faults += dangling
        self._settled.update(
            (id, log[id]) for id in ids if not seen.generations[id].is_live and id in log
        )
        return seen

    async def orphans(self) -> list[tuple[int, int | None, int]]:
        """Ask the living database."""
        async with self._turn:
            rows = await (await self._open()).fetch(ORPHANS["postgresql"])
        return [(row[0], row[1], row[2]) for row in rows]

    async def held(self) -> list[int]:
        """Ask the living database."""
        async with self._turn:
            return [row[0] for row in await (await self._open()).fetch(HELD)]

    async def execute(self, sql: str) -> None:
        """Write one short transaction."""
        async with self._turn:
            await (await self._open()).execute(sql)

    async def close(self) -> None:
        """Give up the connection."""
        if self._connection is not None:
            await self._connection.close()


def unmake(outline: str | None) -> list[tuple[int, int, str | None]]:
    """Return the items of an outline: kind, where it ends, and its body unless it is a span."""
    items: Iterable[list[Any]] = json.loads(outline or "[]")
    return [(item[0], item[1], item[2] if len(item) > 2 else None) for item in items]
