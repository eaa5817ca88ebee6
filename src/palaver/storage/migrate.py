"""From the schema that a database has to the one that this version of Palaver knows."""

from typing import Final

from palaver.kit.clock import Clock, system_clock
from palaver.storage.connection import Connection
from palaver.storage.database import Database, DatabaseError
from palaver.storage.migrations import STEPS
from palaver.storage.statements import Engine, Statement
from palaver.storage.tx import connection_of

_HAS_VERSION: Final = Statement(
    sqlite="select 1 from sqlite_schema where name = 'schema_version'",
    postgresql="select 1 where to_regclass('schema_version') is not null",
    row=int,
)
_VERSION: Final = Statement("select coalesce(max(number), 0) from schema_version", int)
_RECORD: Final[Statement[None]] = Statement(
    "insert into schema_version (number, name, applied_at) values (:number, :name, :at)"
)
_CREATE: Final = {
    Engine.SQLITE: """create table schema_version (
    number integer primary key,
    name text not null,
    applied_at integer not null
) strict""",
    Engine.POSTGRESQL: """create table schema_version (
    number bigint primary key,
    name text not null,
    applied_at bigint not null
)""",
}


async def migrate(db: Database, *, clock: Clock = system_clock) -> list[str]:
    """Apply the steps that are missing, one transaction each; return their names.

    A step that is cut off leaves nothing. On SQLite a copy of the former state stays beside the
    database, and the caller holds the process lock. Raises `DatabaseError` when the database is
    newer than this Palaver.
    """
    version = await schema_version(db)
    if 0 < version < len(STEPS):
        await db.keep_copy(f"schema-{version}")
    applied = []
    while (name := await _apply_next(db, clock)) is not None:
        applied.append(name)
    return applied


async def schema_version(db: Database) -> int:
    """Return the number of the last step that the database has; 0 for an empty one."""
    async with db.read() as tx:
        return await _version(connection_of(tx))


async def check(db: Database) -> None:
    """Raise `DatabaseError`, with a sentence, unless the schema is the one that we know."""
    version = await schema_version(db)
    _refuse_newer(version)
    if version < len(STEPS):
        raise DatabaseError(
            f"The database has schema {version}, and this Palaver needs {len(STEPS)}: "
            "run `palaver migrate`."
        )


async def _apply_next(db: Database, clock: Clock) -> str | None:
    # The version is read inside: on PostgreSQL another process may have been quicker.
    async with db.exclusive() as connection:
        version = await _version(connection)
        _refuse_newer(version)
        if version == len(STEPS):
            return None
        if version == 0:
            await connection.script(_CREATE[db.engine])
        name, statements = STEPS[version]
        for statement in statements(db.engine):
            await connection.script(statement)
        await connection.run(_RECORD, number=version + 1, name=name, at=clock())
    return name


async def _version(connection: Connection) -> int:
    if await connection.one(_HAS_VERSION) is None:
        return 0
    return await connection.one(_VERSION) or 0


def _refuse_newer(version: int) -> None:
    if version > len(STEPS):
        raise DatabaseError(
            f"The database has schema {version}, but this Palaver knows only {len(STEPS)}: "
            "it was written by a newer one. Start that, or restore a copy."
        )
