"""Health: a look at the database that never fails."""

import asyncpg
import pytest

from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.users import SYSTEM, Role
from palaver.services import health
from palaver.services.health import HealthService, Installation
from palaver.storage.database import Database
from palaver.storage.opening import open_database
from palaver.storage.postgresql import PostgreSQL
from palaver.storage.statements import Engine
from tests.cast import a_user, identity_over, signed_in
from tests.databases import PostgreSQLServer


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


async def test_a_database_that_answers_is_well(db: Database) -> None:
    seen = await HealthService(db).database(SYSTEM)
    assert (seen.ok, seen.dialect) == (True, db.engine.value)
    assert seen.latency_ms > 0


async def test_a_database_that_was_closed_is_not_well(db: Database) -> None:
    await db.close()
    assert not (await HealthService(db).database(SYSTEM)).ok


async def test_a_server_that_cannot_be_reached_is_not_well(unused_tcp_port: int) -> None:
    db = PostgreSQL(f"postgresql://127.0.0.1:{unused_tcp_port}/x", max_connections=1)
    seen = await HealthService(db).database(SYSTEM)
    assert (seen.ok, seen.dialect) == (False, Engine.POSTGRESQL.value)
    await db.close()


@pytest.fixture
def empty(postgresql_server: PostgreSQLServer) -> str:
    """Give the address of a database without tables."""
    return postgresql_server.empty("dropped")


async def test_a_database_that_was_dropped_is_not_well(
    empty: str, postgresql_server: PostgreSQLServer
) -> None:
    db = await open_database(empty)
    name = empty.partition("?")[0].rpartition("/")[2]
    await execute(postgresql_server.url(), f"drop database {name} with (force)")
    assert not (await HealthService(db).database(SYSTEM)).ok
    await db.close()


@pytest.fixture
def fresh(postgresql_server: PostgreSQLServer) -> str:
    """Give the address of a database with its tables."""
    return postgresql_server.fresh()


async def test_a_database_that_keeps_silent_is_not_well(
    fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PATIENCE_SECONDS", 0.05)
    db = await open_database(fresh)
    locked = await asyncpg.connect(fresh)
    async with locked.transaction():
        await locked.execute("lock table facts in access exclusive mode")
        assert not (await HealthService(db).database(SYSTEM)).ok
    await locked.close()
    await db.close()


async def test_how_far_setting_up_has_come_is_for_administrators(db: Database) -> None:
    health = HealthService(db)
    assert await health.installation(SYSTEM) == Installation(
        has_accounts=False, has_administrator=False
    )
    identity = identity_over(db)
    owner = await signed_in(identity, await a_user(identity))
    with pytest.raises(DomainError) as caught:
        await health.installation(owner)
    assert caught.value.kind is ErrorKind.ADMIN_REQUIRED
    assert (await health.installation(SYSTEM)).has_accounts
    assert not (await health.installation(SYSTEM)).has_administrator
    await a_user(identity, "admin", role=Role.ADMIN)
    assert (await health.installation(SYSTEM)).has_administrator
    identity.passwords.close()
