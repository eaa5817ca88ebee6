"""From an empty database to the schema of today, step by step, and never half a step."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import palaver.storage
from palaver.domain.usage import Amounts
from palaver.services.ledger import recount
from palaver.storage import migrate as runner
from palaver.storage.database import Database, DatabaseError, StatementFailed
from palaver.storage.migrate import check, migrate, schema_version
from palaver.storage.migrations import STEPS
from palaver.storage.opening import open_database
from palaver.storage.statements import Engine, Statement
from tests.databases import PostgreSQLServer
from tests.storage.schema_text import schema_text

SCHEMAS = Path(palaver.storage.__file__).parent / "schema"
TABLES = Statement(
    sqlite="select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'",
    postgresql="select tablename::text from pg_tables where schemaname = 'public'",
    row=str,
)


@pytest.fixture(params=list(Engine), ids=str)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param is Engine.SQLITE:
        return f"sqlite:///{tmp_path / 'palaver.db'}"
    server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
    return server.empty()


@pytest.fixture
async def empty(empty_url: str) -> AsyncIterator[Database]:
    database = await open_database(empty_url)
    yield database
    await database.close()


async def tables(db: Database) -> set[str]:
    async with db.read() as tx:
        return set(await tx._connection.all(TABLES))


async def test_an_empty_database_gets_every_step_once(empty):
    assert await schema_version(empty) == 0
    with pytest.raises(DatabaseError, match="palaver migrate"):
        await check(empty)
    assert await migrate(empty) == [name for name, _ in STEPS]
    assert await migrate(empty) == []
    assert await schema_version(empty) == len(STEPS)
    await check(empty)


async def test_the_schema_files_show_what_the_migrations_produce(empty, request):
    await migrate(empty)
    text = await schema_text(empty)
    path = SCHEMAS / f"{empty.engine}.sql"
    if request.config.getoption("--write-schema"):
        path.write_text(text)
    assert path.read_text() == text, "run: pytest tests/storage/test_migrate.py --write-schema"


async def test_a_newer_database_is_refused_with_a_sentence(empty):
    await migrate(empty)
    async with empty.transaction() as tx:
        await tx._connection.run(runner._RECORD, number=len(STEPS) + 1, name="later", at=0)
    for act in (check, migrate):
        with pytest.raises(DatabaseError, match="newer"):
            await act(empty)


async def test_a_step_that_fails_in_the_middle_leaves_nothing(empty, monkeypatch):
    def broken(engine: str) -> list[str]:
        return ["create table half (id integer primary key)", "create nonsense"]

    await migrate(empty)
    before = await tables(empty)
    steps = (*STEPS, ("broken", broken))
    monkeypatch.setattr(runner, "STEPS", steps)
    with pytest.raises(StatementFailed):
        await migrate(empty)
    assert await tables(empty) == before
    assert await schema_version(empty) == len(STEPS)


async def test_the_steps_before_a_broken_one_stay(empty, monkeypatch):
    def good(engine: str) -> list[str]:
        return ["create table good (id integer primary key)"]

    def broken(engine: str) -> list[str]:
        return ["create nonsense"]

    monkeypatch.setattr(runner, "STEPS", (("good", good), ("broken", broken)))
    with pytest.raises(StatementFailed):
        await migrate(empty)
    assert await tables(empty) == {"good", "schema_version"}
    assert await schema_version(empty) == 1


async def test_several_processes_that_migrate_at_once_apply_each_step_once(empty_url):
    databases = [await open_database(empty_url) for _ in range(3)]
    applied = await asyncio.gather(*map(migrate, databases))
    assert sorted(name for names in applied for name in names) == sorted(name for name, _ in STEPS)
    for db in databases:
        await db.close()


async def test_a_rebuilt_table_that_breaks_foreign_keys_is_not_committed(empty, monkeypatch):
    if empty.engine is Engine.POSTGRESQL:
        pytest.skip("checks them all the time")

    def first(engine: str) -> list[str]:
        return [
            "create table parents (id integer primary key)",
            "create table children (id integer primary key, parent_id references parents (id))",
            "insert into parents values (1)",
            "insert into children values (1, 1)",
        ]

    def rebuild(engine: str) -> list[str]:
        return ["drop table parents", "create table parents (id integer primary key, name text)"]

    def keep(engine: str) -> list[str]:
        return [
            "create table new (id integer primary key, name text)",
            "insert into new (id) select id from parents",
            "drop table parents",
            "alter table new rename to parents",
        ]

    monkeypatch.setattr(runner, "STEPS", (("first", first), ("rebuild", rebuild)))
    with pytest.raises(DatabaseError, match="foreign keys"):
        await migrate(empty)
    assert await schema_version(empty) == 1
    monkeypatch.setattr(runner, "STEPS", (("first", first), ("keep", keep)))
    assert await migrate(empty) == ["keep"]
    former = await open_database(f"{empty.path}.schema-1")
    assert await schema_version(former) == 1
    await former.close()


def test_the_steps_are_frozen_in_their_order_and_import_nothing_of_ours():
    for number, (name, statements) in enumerate(STEPS, 1):
        assert statements.__module__.endswith(f".m{number:04}_{name}")
        source = Path(str(statements.__code__.co_filename)).read_text()
        assert "import palaver" not in source
        assert "from palaver" not in source


async def test_what_was_used_before_there_were_plans_counts_in_the_sums(empty, monkeypatch):
    user = Statement(
        """insert into users (uuid, username, username_key, password_hash, role, created_at)
        values ('u', 'owner', 'owner', 'x', 'user', 0) returning id""",
        int,
    )
    line = Statement(
        """insert into usage_entries (owner_id, conversation_id, generation_id, kind, model,
            prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, cost_micro_usd,
            messages, is_estimate, created_at)
        values (:owner_id, 7, :generation_id, :kind, 'sim/sim', 10, 5, 0, 0, 3, :messages, 0,
            :at)"""
    )
    monkeypatch.setattr(runner, "STEPS", STEPS[:1])
    await migrate(empty)
    at = 20_500 * 86_400_000_000
    async with empty.transaction() as tx:
        owner_id = await tx._connection.one(user)
        lines = [(1, "answer", 1), (1, "attempt", 0), (2, "answer", 1)]
        for number, (generation_id, kind, messages) in enumerate(lines):
            await tx._connection.run(
                line,
                owner_id=owner_id,
                generation_id=generation_id,
                kind=kind,
                messages=messages,
                at=at + number * 400_000_000,
            )
    monkeypatch.undo()
    await migrate(empty)
    async with empty.transaction() as tx:
        kept = await tx.usage.buckets(owner_id=owner_id)
        await recount(tx, owner_id, at=at + 1)
        assert kept == await tx.usage.buckets(owner_id=owner_id)
        assert kept[(3, 0)] == Amounts(messages=2, tokens=30, cost_micro_usd=9)
        (used,) = await tx.conversation_usage.list(owner_id=owner_id, limit=5)
    assert used.tokens == 30
