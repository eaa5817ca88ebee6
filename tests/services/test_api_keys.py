"""A key is worth its scopes, and nothing once it was revoked."""

import pytest

from palaver.domain.api_keys import DEFAULT_SCOPES, KEYS_MAX, Scope
from palaver.domain.errors import DomainError, ErrorKind, InvalidInput, NotFound
from palaver.domain.users import Actor, Role
from palaver.kit.clock import DAY, MINUTE, SECOND
from palaver.storage.database import Database
from palaver.storage.statements import Statement
from tests.cast import HOME, PASSWORD, a_cast
from tests.fakes.clock import StillClock


async def kind_of(refused) -> ErrorKind:
    with pytest.raises(DomainError) as raised:
        await refused
    return raised.value.kind


async def test_a_key_stands_for_its_owner(db: Database) -> None:
    cast = await a_cast(db)
    keys = cast.identity.api_keys
    made = await keys.create(cast.owner, name=" Backup ", scopes=[Scope.READ])
    assert made.key.startswith("pk_")
    assert len(made.key) == 46
    assert made.api_key.name == "Backup"
    assert made.key.startswith(made.api_key.prefix)
    assert made.key not in repr(made)
    actor = await keys.authenticate(made.key, HOME)
    assert actor == Actor(
        cast.owner.user_id,
        client=HOME,
        user_uuid=cast.owner.user_uuid,
        key_id=made.api_key.id,
        scopes=frozenset({Scope.READ}),
    )


async def test_without_scopes_it_has_all_but_administration(db: Database) -> None:
    cast = await a_cast(db)
    made = await cast.identity.api_keys.create(cast.admin, name="x")
    assert made.api_key.scopes == DEFAULT_SCOPES
    actor = await cast.identity.api_keys.authenticate(made.key, HOME)
    assert actor.role is Role.USER  # what administrators see more than others, it does not


async def test_a_key_of_an_administrator_may_administer_where_it_says_so(db: Database) -> None:
    cast = await a_cast(db)
    keys = cast.identity.api_keys
    made = await keys.create(cast.admin, name="x", scopes=[Scope.ADMIN])
    assert (await keys.authenticate(made.key, HOME)).is_admin
    refused = keys.create(cast.owner, name="x", scopes=[Scope.ADMIN])
    assert await kind_of(refused) is ErrorKind.ADMIN_REQUIRED
    # Once its owner is no administrator any more, neither is the key.
    await cast.identity.accounts.update(
        await a_second_admin(cast), cast.admin.owner_id, role=Role.USER
    )
    assert not (await keys.authenticate(made.key, HOME)).is_admin


async def a_second_admin(cast) -> Actor:
    await cast.identity.accounts.update(cast.admin, cast.stranger.owner_id, role=Role.ADMIN)
    sign_in = await cast.identity.sessions.sign_in(
        Actor.anonymous(HOME), username="stranger", password=PASSWORD
    )
    return await cast.identity.sessions.authenticate_cookie(sign_in.cookie, HOME)


async def test_the_database_does_not_tell_the_key(db: Database) -> None:
    cast = await a_cast(db)
    made = await cast.identity.api_keys.create(cast.owner, name="x")
    async with db.read() as tx:
        found = []
        for table in ("api_keys", "audit_entries"):
            rows = Statement(f"select * from {table}", lambda *row: row)  # noqa: S608
            found += await tx._connection.all(rows)
    assert made.api_key.prefix in repr(found)
    assert made.key not in repr(found)
    assert made.key[11:] not in repr(found)


@pytest.mark.parametrize("key", ["", "pk_", "pk_x", "x" * 5000, "pk_" + "a" * 43, "pk_\udcff"])
async def test_what_is_no_key_is_none(db: Database, key: str) -> None:
    cast = await a_cast(db)
    await cast.identity.api_keys.create(cast.owner, name="x")
    refused = cast.identity.api_keys.authenticate(key, HOME)
    assert await kind_of(refused) is ErrorKind.INVALID_TOKEN


async def test_it_ends_when_it_is_revoked_expired_or_its_owner_disabled(db: Database) -> None:
    clock = StillClock()
    cast = await a_cast(db, clock=clock)
    keys = cast.identity.api_keys
    revoked = await keys.create(cast.owner, name="revoked")
    expires_at = clock() + DAY
    expiring = await keys.create(cast.owner, name="expiring", expires_at=expires_at)
    other = await keys.create(cast.owner, name="other")
    await keys.revoke(cast.owner, revoked.api_key.uuid)
    assert await kind_of(keys.authenticate(revoked.key, HOME)) is ErrorKind.INVALID_TOKEN
    await keys.authenticate(expiring.key, HOME)
    clock.move(microseconds=expires_at - clock())
    assert await kind_of(keys.authenticate(expiring.key, HOME)) is ErrorKind.INVALID_TOKEN
    await cast.identity.accounts.update(cast.admin, cast.owner.owner_id, is_active=False)
    assert await kind_of(keys.authenticate(other.key, HOME)) is ErrorKind.USER_INACTIVE


async def test_a_use_is_written_down_now_and_then(db: Database) -> None:
    clock = StillClock()
    cast = await a_cast(db, clock=clock)
    keys = cast.identity.api_keys
    made = await keys.create(cast.owner, name="x")

    async def last_used_at() -> int | None:
        (key,) = (await keys.list(cast.owner)).items
        return key.last_used_at

    assert await last_used_at() is None
    first = clock()
    await keys.authenticate(made.key, HOME)
    clock.move(seconds=60)
    await keys.authenticate(made.key, HOME)
    assert await last_used_at() == first
    clock.move(seconds=4 * MINUTE // SECOND + 1)
    await keys.authenticate(made.key, HOME)
    assert await last_used_at() == clock()


async def test_one_sees_and_revokes_ones_own_alone(db: Database) -> None:
    cast = await a_cast(db)
    keys = cast.identity.api_keys
    mine = [await keys.create(cast.owner, name=f"key {number}") for number in range(3)]
    page = await keys.list(cast.owner, limit=2)
    assert [key.name for key in page.items] == ["key 2", "key 1"]
    rest = await keys.list(cast.owner, cursor=page.next)
    assert [key.name for key in rest.items] == ["key 0"]
    assert (await keys.list(cast.stranger)).items == []
    for actor in (cast.stranger, cast.admin):
        with pytest.raises(NotFound):
            await keys.revoke(actor, mine[0].api_key.uuid)
    await keys.revoke(cast.owner, mine[0].api_key.uuid)
    with pytest.raises(NotFound):
        await keys.revoke(cast.owner, mine[0].api_key.uuid)
    assert len((await keys.list(cast.owner)).items) == 2


async def test_nobody_has_any_number_of_them(db: Database) -> None:
    cast = await a_cast(db)
    keys = cast.identity.api_keys
    for number in range(KEYS_MAX):
        made = await keys.create(cast.owner, name=str(number))
    refused = keys.create(cast.owner, name="one more")
    assert await kind_of(refused) is ErrorKind.CONFLICT
    await keys.revoke(cast.owner, made.api_key.uuid)
    await keys.create(cast.owner, name="one more")


async def test_what_makes_no_sense_is_refused(db: Database) -> None:
    clock = StillClock()
    cast = await a_cast(db, clock=clock)
    for field, given in (
        ("name", {"name": " "}),
        ("name", {"name": "x" * 101}),
        ("name", {"name": "a\0b"}),
        ("scopes", {"scopes": []}),
        ("expires_at", {"expires_at": clock()}),
    ):
        with pytest.raises(InvalidInput) as raised:
            await cast.identity.api_keys.create(cast.owner, **({"name": "x"} | given))
        assert [fault.field for fault in raised.value.faults] == [field]


async def test_revoked_keys_are_forgotten_after_a_while(db: Database) -> None:
    clock = StillClock()
    cast = await a_cast(db, clock=clock)
    keys = cast.identity.api_keys
    made = await keys.create(cast.owner, name="x")
    await keys.revoke(cast.owner, made.api_key.uuid)
    assert await keys.purge(cast.admin) == 0
    clock.move(seconds=31 * DAY // SECOND)
    assert await keys.purge(cast.admin) == 1
