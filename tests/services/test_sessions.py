import asyncio

import pytest

from palaver.domain.errors import DomainError, ErrorKind, NotFound
from palaver.domain.users import SYSTEM, Actor, Client, Role
from palaver.kit.clock import DAY, MINUTE, SECOND
from palaver.services.passwords import Passwords
from palaver.storage.statements import Engine, Statement
from tests.cast import HOME, PASSWORD, a_cast, a_user, identity_over, signed_in
from tests.fakes.clock import StillClock

NOBODY = Actor.anonymous(HOME)


async def kind_of(refused):
    with pytest.raises(DomainError) as raised:
        await refused
    return raised.value.kind


async def by_cookie(identity, **given):
    return await identity.sessions.sign_in(
        NOBODY, **({"username": "owner", "password": PASSWORD} | given)
    )


async def by_tokens(identity, **given):
    return await identity.sessions.sign_in_for_tokens(
        NOBODY, **({"username": "owner", "password": PASSWORD} | given)
    )


async def everything_stored(db):
    """Return every value of every table, as one text."""
    tables = {
        Engine.SQLITE: "select name from sqlite_schema where type = 'table'",
        Engine.POSTGRESQL: "select tablename from pg_tables where schemaname = 'public'",
    }
    found = []
    async with db.read() as tx:
        for name in await tx._connection.all(Statement(tables[db.engine], str)):
            if not name.startswith("search_index"):
                rows = Statement(f"select * from {name}", lambda *row: row)  # noqa: S608
                found += await tx._connection.all(rows)
    return repr(found)


class TestCookies:
    async def test_a_cookie_stands_for_its_user(self, db):
        identity = identity_over(db)
        user = await a_user(identity, email="owner@example.org")
        for name in ("owner", "OWNER ", "Owner@Example.org"):
            sign_in = await by_cookie(identity, username=name)
            assert sign_in.user.id == user.id
            assert sign_in.user.last_login_at is not None
            actor = await identity.sessions.authenticate_cookie(sign_in.cookie, HOME)
            id = sign_in.session.id
            assert actor == Actor(user.id, Role.USER, id, HOME, user_uuid=user.uuid)

    async def test_a_cookie_that_was_never_issued_is_no_sign_in(self, db):
        identity = identity_over(db)
        for cookie in ("", "x" * 43, "\ud800", "x" * 10_000):
            refused = identity.sessions.authenticate_cookie(cookie, HOME)
            assert await kind_of(refused) is ErrorKind.UNAUTHENTICATED

    async def test_every_use_prolongs_a_session(self, db):
        clock = StillClock()
        identity = identity_over(db, clock=clock, session_lifetime_seconds=100)
        await a_user(identity)
        cookie = (await by_cookie(identity)).cookie
        for _ in range(3):
            clock.move(seconds=99)
            await identity.sessions.authenticate_cookie(cookie, HOME)
        clock.move(seconds=100)
        refused = identity.sessions.authenticate_cookie(cookie, HOME)
        assert await kind_of(refused) is ErrorKind.SESSION_EXPIRED

    async def test_a_use_is_written_down_at_most_once_a_minute(self, db):
        clock = StillClock()
        identity = identity_over(db, clock=clock)
        await a_user(identity)
        sign_in = await by_cookie(identity)
        actor = await identity.sessions.authenticate_cookie(sign_in.cookie, HOME)
        started = clock.now
        for seconds, noted in ((59, 0), (1, 60), (59, 60), (1, 120)):
            clock.move(seconds=seconds)
            await asyncio.gather(
                *(identity.sessions.authenticate_cookie(sign_in.cookie, HOME) for _ in range(5))
            )
            (session,) = await identity.sessions.list(actor)
            assert session.last_used_at == started + noted * SECOND
            assert session.expires_at == session.last_used_at + 7 * DAY

    async def test_signing_out_ends_this_session_and_no_other(self, db):
        identity = identity_over(db)
        await a_user(identity)
        first, second = await by_cookie(identity), await by_cookie(identity)
        actor = await identity.sessions.authenticate_cookie(first.cookie, HOME)
        await identity.sessions.sign_out(actor)
        refused = identity.sessions.authenticate_cookie(first.cookie, HOME)
        assert await kind_of(refused) is ErrorKind.SESSION_EXPIRED
        await identity.sessions.authenticate_cookie(second.cookie, HOME)

    async def test_ones_own_sessions_are_listed_and_ended_by_uuid(self, db):
        cast = await a_cast(db)
        sessions = cast.identity.sessions
        await by_tokens(cast.identity)
        newest, oldest = await sessions.list(cast.owner)
        assert (oldest.ip, oldest.user_agent) == (HOME.address, HOME.user_agent)
        with pytest.raises(NotFound):
            await sessions.end(cast.stranger, newest.uuid)
        await sessions.end(cast.owner, newest.uuid)
        with pytest.raises(NotFound):
            await sessions.end(cast.owner, newest.uuid)
        assert await sessions.list(cast.owner) == [oldest]

    async def test_a_csrf_token_belongs_to_one_session(self, db):
        identity = identity_over(db)
        await a_user(identity)
        first, second = await by_cookie(identity), await by_cookie(identity)
        sessions = identity.sessions
        assert sessions.csrf_token(first.cookie) == first.csrf_token
        assert sessions.is_csrf_token(first.cookie, first.csrf_token)
        for given in ("", "é", second.csrf_token, first.csrf_token.upper(), first.cookie):
            assert not sessions.is_csrf_token(first.cookie, given)


class TestTokens:
    async def test_an_access_token_stands_for_its_user(self, db):
        identity = identity_over(db)
        user = await a_user(identity)
        pair = await by_tokens(identity, access_lifetime_seconds=60)
        assert pair.expires_in_seconds == 60
        actor = await identity.sessions.authenticate_token(pair.access_token, HOME)
        assert (actor.user_id, actor.role) == (user.id, Role.USER)

    async def test_an_access_token_runs_out(self, db):
        clock = StillClock()
        identity = identity_over(db, clock=clock)
        await a_user(identity)
        pair = await by_tokens(identity, access_lifetime_seconds=60)
        clock.move(seconds=59)
        await identity.sessions.authenticate_token(pair.access_token, HOME)
        clock.move(seconds=1)
        refused = identity.sessions.authenticate_token(pair.access_token, HOME)
        assert await kind_of(refused) is ErrorKind.INVALID_TOKEN

    async def test_a_token_counts_for_its_own_type_only(self, db):
        identity = identity_over(db)
        await a_user(identity)
        pair, cookie = await by_tokens(identity), (await by_cookie(identity)).cookie
        sessions = identity.sessions
        for token in (pair.refresh_token, cookie, "", "a.b.c"):
            refused = sessions.authenticate_token(token, HOME)
            assert await kind_of(refused) is ErrorKind.INVALID_TOKEN
        for token in (pair.access_token, cookie, "", "a.b.c"):
            refused = sessions.refresh(NOBODY, token)
            assert await kind_of(refused) is ErrorKind.INVALID_REFRESH_TOKEN

    async def test_a_token_of_another_server_is_refused(self, db):
        identity = identity_over(db)
        await a_user(identity)
        pair = await by_tokens(identity)
        other = identity_over(db)
        other.sessions.tokens.__init__("another key")
        refused = other.sessions.authenticate_token(pair.access_token, HOME)
        assert await kind_of(refused) is ErrorKind.INVALID_TOKEN

    async def test_refreshing_gives_a_new_access_token_and_the_same_refresh_token(self, db):
        clock = StillClock()
        identity = identity_over(db, clock=clock)
        await a_user(identity)
        pair = await by_tokens(identity)
        clock.move(seconds=29 * 24 * 3600)
        fresh = await identity.sessions.refresh(
            NOBODY, pair.refresh_token, access_lifetime_seconds=3600
        )
        assert fresh.refresh_token == pair.refresh_token
        assert fresh.access_token != pair.access_token
        assert (fresh.expires_in_seconds, fresh.user.username) == (3600, "owner")
        await identity.sessions.authenticate_token(fresh.access_token, HOME)

    async def test_a_refresh_token_lives_30_days_and_no_access_token_outlives_it(self, db):
        clock = StillClock()
        identity = identity_over(db, clock=clock)
        await a_user(identity)
        pair = await by_tokens(identity)
        clock.move(seconds=30 * 24 * 3600 - 60)
        fresh = await identity.sessions.refresh(NOBODY, pair.refresh_token)
        assert fresh.expires_in_seconds == 60
        clock.move(seconds=60)
        refused = identity.sessions.refresh(NOBODY, pair.refresh_token)
        assert await kind_of(refused) is ErrorKind.INVALID_REFRESH_TOKEN

    @pytest.mark.parametrize("way", ["bearer", "refresh token"])
    async def test_signing_out_ends_the_whole_family_at_once(self, db, way):
        identity = identity_over(db)
        await a_user(identity)
        pair, other = await by_tokens(identity), await by_tokens(identity)
        sessions = identity.sessions
        fresh = await sessions.refresh(NOBODY, pair.refresh_token)
        actor = await sessions.authenticate_token(fresh.access_token, HOME)
        if way == "bearer":
            await sessions.sign_out(actor)
        else:
            await sessions.sign_out_family(actor, pair.refresh_token)
            await sessions.sign_out_family(actor, pair.refresh_token)
        for token in (pair.access_token, fresh.access_token):
            refused = sessions.authenticate_token(token, HOME)
            assert await kind_of(refused) is ErrorKind.INVALID_TOKEN
        refused = sessions.refresh(NOBODY, pair.refresh_token)
        assert await kind_of(refused) is ErrorKind.INVALID_REFRESH_TOKEN
        await sessions.authenticate_token(other.access_token, HOME)

    async def test_nobody_ends_anothers_family(self, db):
        cast = await a_cast(db)
        pair = await by_tokens(cast.identity)
        refused = cast.identity.sessions.sign_out_family(cast.stranger, pair.refresh_token)
        assert await kind_of(refused) is ErrorKind.INVALID_REFRESH_TOKEN
        await cast.identity.sessions.authenticate_token(pair.access_token, HOME)


class TestSigningIn:
    @pytest.mark.parametrize(
        ("username", "password"),
        [
            ("owner", "not the password"),
            ("nobody", PASSWORD),
            ("", ""),
            ("x" * 5000, PASSWORD),
            ("nul\0", "\0"),
            ("half\ud800", "\ud800"),
            ("owner", PASSWORD + " "),
        ],
    )
    async def test_a_wrong_name_is_told_as_a_wrong_password(self, db, username, password):
        identity = identity_over(db)
        await a_user(identity)
        refused = by_cookie(identity, username=username, password=password)
        assert await kind_of(refused) is ErrorKind.INVALID_CREDENTIALS

    async def test_a_disabled_user_is_told_so_only_with_the_right_password(self, db):
        identity = identity_over(db)
        user = await a_user(identity)
        cookie, pair = (await by_cookie(identity)).cookie, await by_tokens(identity)
        await identity.accounts.update(SYSTEM, user.id, is_active=False)
        sessions = identity.sessions
        assert await kind_of(by_cookie(identity)) is ErrorKind.USER_INACTIVE
        wrong = by_cookie(identity, password="wrong")
        assert await kind_of(wrong) is ErrorKind.INVALID_CREDENTIALS
        for refused in (
            sessions.authenticate_cookie(cookie, HOME),
            sessions.authenticate_token(pair.access_token, HOME),
            sessions.refresh(NOBODY, pair.refresh_token),
        ):
            assert await kind_of(refused) is ErrorKind.USER_INACTIVE

    async def test_composed_and_decomposed_letters_are_one_password(self, db):
        identity = identity_over(db)
        await a_user(identity, password="pässwörd")
        await by_cookie(identity, password="pa\u0308sswo\u0308rd")

    async def test_a_password_hash_is_renewed_when_its_costs_are_outdated(self, db):
        old = identity_over(db)
        user = await a_user(old)
        new = identity_over(db)
        new.sessions.doorkeeper.passwords = Passwords(memory_kib=16, passes=1)
        await asyncio.gather(*(by_cookie(new) for _ in range(3)))
        renewed = await new.accounts.get(SYSTEM, user.id)
        assert renewed.password_hash != user.password_hash
        assert "m=16," in renewed.password_hash
        await by_cookie(new)

    async def test_no_secret_is_stored(self, db):
        identity = identity_over(db)
        await a_user(identity)
        sign_in, pair = await by_cookie(identity), await by_tokens(identity)
        await kind_of(by_cookie(identity, username="a secret", password="another secret"))
        stored = await everything_stored(db)
        assert "$argon2id$" in stored
        for secret in (
            PASSWORD,
            "a secret",
            "another secret",
            sign_in.cookie,
            sign_in.csrf_token,
            sign_in.device,
            pair.access_token,
            pair.refresh_token,
        ):
            assert secret not in stored

    async def test_a_device_keeps_its_cookie_and_nobody_chooses_one(self, db):
        identity = identity_over(db)
        await a_user(identity)
        chosen = Actor.anonymous(Client(address="192.0.2.1", device="chosen"))
        first = await identity.sessions.sign_in(chosen, username="owner", password=PASSWORD)
        assert first.device != "chosen"
        again = Actor.anonymous(Client(address="192.0.2.9", device=first.device))
        second = await identity.sessions.sign_in(again, username="owner", password=PASSWORD)
        assert second.device == first.device


async def test_purging_forgets_what_ended_before_and_only_that(db):
    clock = StillClock()
    cast = await a_cast(db, clock=clock)
    sessions = cast.identity.sessions
    await kind_of(by_cookie(cast.identity, password="wrong"))
    gone, kept = await by_cookie(cast.identity), await by_cookie(cast.identity)
    await sessions.sign_out(await sessions.authenticate_cookie(gone.cookie, HOME))
    clock.move(microseconds=2 * MINUTE)
    assert await kind_of(sessions.purge(cast.owner, before=clock.now)) is ErrorKind.ADMIN_REQUIRED
    assert await sessions.purge(SYSTEM, before=clock.now) == 1
    refused = sessions.authenticate_cookie(gone.cookie, HOME)
    assert await kind_of(refused) is ErrorKind.UNAUTHENTICATED
    await sessions.authenticate_cookie(kept.cookie, HOME)
    clock.move(microseconds=31 * DAY)
    assert await sessions.purge(SYSTEM, before=clock.now) >= 4


async def test_what_an_actor_may_see_follows_the_role_at_once(db):
    cast = await a_cast(db)
    sign_in = await by_cookie(cast.identity)
    await cast.identity.accounts.update(cast.admin, cast.owner.owner_id, role=Role.ADMIN)
    actor = await cast.identity.sessions.authenticate_cookie(sign_in.cookie, HOME)
    actor.require_admin()


async def test_an_actor_of_a_session_can_be_made_by_the_cast(db):
    identity = identity_over(db)
    user = await a_user(identity, "ann")
    assert (await signed_in(identity, user)).owner_id == user.id
