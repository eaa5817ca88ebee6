"""A link for a new password works once, for a day, and is no back door."""

import asyncio

import pytest

from palaver.domain.errors import DomainError, ErrorKind, InvalidInput, NotFound
from palaver.domain.users import Actor, User
from palaver.kit.clock import HOUR, SECOND
from palaver.storage.database import Database
from palaver.storage.statements import Statement
from tests.cast import HOME, PASSWORD, a_cast
from tests.fakes.clock import StillClock

NOBODY = Actor.anonymous(HOME)
NEW = "another good one"


async def kind_of(refused) -> ErrorKind:
    with pytest.raises(DomainError) as raised:
        await refused
    return raised.value.kind


async def test_it_sets_a_new_password_and_ends_all_sessions(db: Database) -> None:
    cast = await a_cast(db)
    identity = cast.identity
    made = await identity.password_resets.create(cast.admin, cast.owner.owner_uuid)
    assert made.path == f"/app/reset?token={made.token}"
    assert made.token not in repr(made)
    assert (await identity.password_resets.find(NOBODY, made.token)).username == "owner"
    await identity.password_resets.redeem(NOBODY, made.token, password=NEW)
    assert await identity.sessions.list(cast.owner) == []
    refused = identity.sessions.sign_in(NOBODY, username="owner", password=PASSWORD)
    assert await kind_of(refused) is ErrorKind.INVALID_CREDENTIALS
    await identity.sessions.sign_in(NOBODY, username="owner", password=NEW)
    actions = [entry.action for entry in await identity.audit.list(cast.admin)]
    assert {"auth.password_renewed", "admin.reset_link_made"} <= set(actions)


async def test_of_many_at_once_one_uses_it(db: Database) -> None:
    cast = await a_cast(db)
    resets = cast.identity.password_resets
    made = await resets.create(cast.admin, cast.owner.owner_id)
    results = await asyncio.gather(
        *(resets.redeem(NOBODY, made.token, password=f"{NEW} {n}") for n in range(4)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, User) for result in results) == 1
    refused = resets.redeem(NOBODY, made.token, password=NEW)
    assert await kind_of(refused) is ErrorKind.INVALID_TOKEN


async def test_it_runs_out_after_a_day(db: Database) -> None:
    clock = StillClock()
    cast = await a_cast(db, clock=clock)
    resets = cast.identity.password_resets
    made = await resets.create(cast.admin, cast.owner.owner_id)
    assert made.expires_at == clock() + 24 * HOUR
    clock.move(seconds=24 * HOUR // SECOND - 1)
    await resets.find(NOBODY, made.token)
    clock.move(seconds=1)
    for refused in (
        resets.find(NOBODY, made.token),
        resets.redeem(NOBODY, made.token, password=NEW),
    ):
        assert await kind_of(refused) is ErrorKind.INVALID_TOKEN
    clock.move(seconds=1)
    assert await resets.purge(cast.admin) == 1


async def test_another_link_or_another_password_makes_the_first_link_useless(
    db: Database,
) -> None:
    cast = await a_cast(db)
    resets = cast.identity.password_resets
    first = await resets.create(cast.admin, cast.owner.owner_id)
    second = await resets.create(cast.admin, cast.owner.owner_id)
    assert await kind_of(resets.find(NOBODY, first.token)) is ErrorKind.INVALID_TOKEN
    await cast.identity.accounts.change_password(
        cast.owner, current_password=PASSWORD, new_password=NEW
    )
    assert await kind_of(resets.find(NOBODY, second.token)) is ErrorKind.INVALID_TOKEN


async def test_a_password_that_is_not_good_enough_leaves_the_link_as_it_is(db: Database) -> None:
    cast = await a_cast(db)
    resets = cast.identity.password_resets
    made = await resets.create(cast.admin, cast.owner.owner_id)
    for password in ("short", "owner" * 300):
        with pytest.raises(InvalidInput):
            await resets.redeem(NOBODY, made.token, password=password)
    await resets.redeem(NOBODY, made.token, password=NEW)


@pytest.mark.parametrize("token", ["", "x", "x" * 5000, "\0"])
async def test_what_is_no_token_is_none(db: Database, token: str) -> None:
    cast = await a_cast(db)
    await cast.identity.password_resets.create(cast.admin, cast.owner.owner_id)
    refused = cast.identity.password_resets.find(NOBODY, token)
    assert await kind_of(refused) is ErrorKind.INVALID_TOKEN


async def test_it_is_made_by_administrators_and_for_others(db: Database) -> None:
    cast = await a_cast(db)
    resets = cast.identity.password_resets
    refused = resets.create(cast.owner, cast.stranger.owner_id)
    assert await kind_of(refused) is ErrorKind.ADMIN_REQUIRED
    with pytest.raises(InvalidInput):
        await resets.create(cast.admin, cast.admin.owner_id)
    with pytest.raises(NotFound):
        await resets.create(cast.admin, 9_999_999)


async def test_it_lets_nobody_in_who_is_disabled(db: Database) -> None:
    cast = await a_cast(db)
    made = await cast.identity.password_resets.create(cast.admin, cast.owner.owner_id)
    await cast.identity.accounts.update(cast.admin, cast.owner.owner_id, is_active=False)
    refused = cast.identity.password_resets.find(NOBODY, made.token)
    assert await kind_of(refused) is ErrorKind.USER_INACTIVE


async def test_the_database_does_not_tell_the_token(db: Database) -> None:
    cast = await a_cast(db)
    made = await cast.identity.password_resets.create(cast.admin, cast.owner.owner_id)
    async with db.read() as tx:
        found = []
        for table in ("password_resets", "audit_entries"):
            rows = Statement(f"select * from {table}", lambda *row: row)  # noqa: S608
            found += await tx._connection.all(rows)
    assert made.token not in repr(found)
