"""Every statement of every store, prepared on both engines and compared with what its rows become."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import apsw.ext
import asyncpg

import palaver.storage
from palaver.storage.database import Database
from palaver.storage.sqlite import open_sqlite
from palaver.storage.statements import Engine, Statement
from tests.databases import new_sqlite


def statements_in(value: object) -> Iterator[Statement]:
    if isinstance(value, Statement):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from statements_in(inner)
    elif isinstance(value, tuple | list):
        for inner in value:
            yield from statements_in(inner)


def all_statements() -> dict[str, Statement]:
    found = {}
    for info in pkgutil.walk_packages(palaver.storage.__path__, "palaver.storage."):
        module = importlib.import_module(info.name)
        holders = [module, *(c for c in vars(module).values() if inspect.isclass(c))]
        for holder in holders:
            if inspect.isclass(holder) and holder.__module__ != module.__name__:
                continue
            for name, value in vars(holder).items():
                for number, statement in enumerate(statements_in(value)):
                    key = f"{info.name}.{name}"
                    found[f"{key}[{number}]" if f"{key}" in found else key] = statement
    return found


STATEMENTS = all_statements()

GROWING = {"messages", "conversations", "usage_entries", "generations", "users", "sessions"}

# Once at a start, and when a role changes; an index would cost each sign-up.
MAY_SCAN = {
    "palaver.storage.users._LOCK_ADMINISTRATORS",
    "palaver.storage.users._HAS_ADMINISTRATOR",
}


def complaint(statement: Statement, columns: list[str]) -> str | None:
    """Say in which way the columns are not what the row is made of."""
    if fields := getattr(statement.row, "__struct_fields__", None):
        if len(fields) != len(columns):
            return f"{len(columns)} columns for {len(fields)} fields: {columns} / {fields}"
        moved = [c for c, f in zip(columns, fields, strict=True) if c in fields and c != f]
        return f"out of order: {moved} of {columns} / {fields}" if moved else None
    if statement.row in (int, str, float, bytes, bool):
        return None if len(columns) == 1 else f"{len(columns)} columns for one value: {columns}"
    try:
        inspect.signature(statement.row).bind(*columns)
    except TypeError as error:
        return f"{error}: {columns}"
    return None


def places_on_sqlite(raw: apsw.Connection, sql: str) -> tuple[int, list[str]]:
    info = apsw.ext.query_info(raw, sql)
    assert info.query_remaining is None, "one statement at a time"
    return info.bindings_count, [column[0] for column in info.description]


async def test_there_are_statements_to_check():
    assert len(STATEMENTS) > 50


async def test_every_statement_fits_the_schema_its_values_and_its_rows(db: Database):
    wrong = []
    for name, statement in STATEMENTS.items():
        try:
            if not (sql := getattr(statement, db.engine)):  # the other engine's own
                continue
            if db.engine is Engine.SQLITE:
                count, columns = places_on_sqlite(db._reader, sql)
            else:
                async with db.read() as tx:
                    prepared = await tx._connection.raw.prepare(sql)
                count = len(prepared.get_parameters())
                columns = [attribute.name for attribute in prepared.get_attributes()]
            if count != len(statement.names):
                wrong.append(f"{name}: {count} places for {statement.names}")
            elif columns and (text := complaint(statement, columns)):
                wrong.append(f"{name}: {text}")
        except (apsw.Error, asyncpg.PostgresError) as error:
            wrong.append(f"{name}: {error}")
    assert not wrong, "\n".join(wrong)


async def test_no_read_scans_a_table_that_grows_unless_it_is_marked_slow(tmp_path):
    """Ask SQLite's planner: with an index missing, a list would cost more with each user."""
    db = open_sqlite(new_sqlite(tmp_path).removeprefix("sqlite:///"))
    scans = []
    for name, statement in STATEMENTS.items():
        if statement.slow or name in MAY_SCAN:
            continue
        if not statement.sqlite.lower().startswith(("select", "with", "update")):
            continue
        values = tuple(1 for _ in statement.names)
        plan = db._reader.execute(f"explain query plan {statement.sqlite}", values).fetchall()
        scans += [
            f"{name}: {step[3]}"
            for step in plan
            if step[3].startswith("SCAN")
            and step[3].split()[1] in GROWING
            and "USING" not in step[3]
        ]
    await db.close()
    assert not scans, "\n".join(scans)
