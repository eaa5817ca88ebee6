import asyncio

import pytest

from palaver.domain.errors import DomainError, ErrorKind, InvalidInput, NotFound
from palaver.domain.users import SYSTEM, Actor, Role
from tests.cast import HOME, PASSWORD, a_cast, a_user, identity_over, signed_in

NOBODY = Actor.anonymous(HOME)
NEW_PASSWORD = "another good one"


async def kind_of(refused):
    with pytest.raises(DomainError) as raised:
        await refused
    return raised.value.kind


async def test_one_sees_oneself(db):
    cast = await a_cast(db)
    assert (await cast.identity.accounts.me(cast.owner)).username == "owner"
    assert await kind_of(cast.identity.accounts.me(NOBODY)) is ErrorKind.UNAUTHENTICATED


async def test_administrators_list_accounts_newest_first(db):
    cast = await a_cast(db)
    users = await cast.identity.accounts.list(cast.admin)
    assert [user.username for user in users] == ["admin", "stranger", "owner"]
    older = await cast.identity.accounts.list(cast.admin, before=users[0].id, limit=1)
    assert older == [users[1]]


async def test_administration_is_for_administrators(db):
    cast = await a_cast(db)
    identity, victim = cast.identity, cast.stranger.owner_id
    for refused in (
        identity.accounts.list(cast.owner),
        identity.accounts.get(cast.owner, victim),
        identity.accounts.get_by_name(cast.owner, "stranger"),
        identity.accounts.update(cast.owner, victim, role=Role.ADMIN),
        identity.accounts.reset_password(cast.owner, victim, password=NEW_PASSWORD),
        identity.registrations.has_administrator(cast.owner),
        identity.invites.create(cast.owner),
        identity.invites.list(cast.owner),
        identity.invites.revoke(cast.owner, "x"),
        identity.audit.list(cast.owner),
        identity.audit.purge(cast.owner, before=0),
        identity.accounts.list(NOBODY),
    ):
        assert await kind_of(refused) is ErrorKind.ADMIN_REQUIRED


async def test_accounts_are_found_by_either_name(db):
    identity = identity_over(db)
    user = await a_user(identity, email="owner@example.org")
    for name in ("Owner", "OWNER@example.org"):
        assert await identity.accounts.get_by_name(SYSTEM, name) == user
    for name in ("nobody", "", "nul\0"):
        with pytest.raises(NotFound):
            await identity.accounts.get_by_name(SYSTEM, name)


async def test_disabling_ends_all_sessions_and_enabling_revives_none(db):
    cast = await a_cast(db)
    accounts, sessions = cast.identity.accounts, cast.identity.sessions
    sign_in = await sessions.sign_in(NOBODY, username="owner", password=PASSWORD)
    disabled = await accounts.update(cast.admin, cast.owner.owner_id, is_active=False)
    assert not disabled.is_active
    refused = sessions.authenticate_cookie(sign_in.cookie, HOME)
    assert await kind_of(refused) is ErrorKind.USER_INACTIVE
    enabled = await accounts.update(cast.admin, cast.owner.owner_id, is_active=True)
    assert enabled.is_active
    refused = sessions.authenticate_cookie(sign_in.cookie, HOME)
    assert await kind_of(refused) is ErrorKind.SESSION_EXPIRED
    await sessions.sign_in(NOBODY, username="owner", password=PASSWORD)


async def test_nobody_changes_their_own_role_or_status(db):
    cast = await a_cast(db)
    for change in ({"role": Role.USER}, {"is_active": False}):
        with pytest.raises(InvalidInput):
            await cast.identity.accounts.update(cast.admin, cast.admin.owner_id, **change)


async def test_an_unknown_account_is_not_found(db):
    cast = await a_cast(db)
    with pytest.raises(NotFound):
        await cast.identity.accounts.update(cast.admin, 999, role=Role.ADMIN)
    with pytest.raises(NotFound):
        await cast.identity.accounts.reset_password(SYSTEM, 999, password=NEW_PASSWORD)


async def test_two_who_demote_each_other_leave_one(db):
    cast = await a_cast(db)
    other = await signed_in(cast.identity, await a_user(cast.identity, "other", role=Role.ADMIN))
    update = cast.identity.accounts.update
    outcomes = await asyncio.gather(
        update(cast.admin, other.owner_id, role=Role.USER),
        update(other, cast.admin.owner_id, role=Role.USER),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, DomainError) for outcome in outcomes) == 1
    users = await cast.identity.accounts.list(SYSTEM)
    assert sum(user.is_admin for user in users) == 1


class TestPasswords:
    async def test_changing_it_ends_the_other_sessions(self, db):
        cast = await a_cast(db)
        sessions = cast.identity.sessions
        mine = await sessions.sign_in(NOBODY, username="owner", password=PASSWORD)
        other = await sessions.sign_in(NOBODY, username="owner", password=PASSWORD)
        tokens = await sessions.sign_in_for_tokens(NOBODY, username="owner", password=PASSWORD)
        actor = await sessions.authenticate_cookie(mine.cookie, HOME)
        await cast.identity.accounts.change_password(
            actor, current_password=PASSWORD, new_password=NEW_PASSWORD
        )
        await sessions.authenticate_cookie(mine.cookie, HOME)
        refused = sessions.authenticate_cookie(other.cookie, HOME)
        assert await kind_of(refused) is ErrorKind.SESSION_EXPIRED
        refused = sessions.authenticate_token(tokens.access_token, HOME)
        assert await kind_of(refused) is ErrorKind.INVALID_TOKEN
        refused = sessions.sign_in(NOBODY, username="owner", password=PASSWORD)
        assert await kind_of(refused) is ErrorKind.INVALID_CREDENTIALS
        await sessions.sign_in(NOBODY, username="owner", password=NEW_PASSWORD)

    @pytest.mark.parametrize(
        ("current", "new", "field"),
        [
            ("wrong", NEW_PASSWORD, "current_password"),
            (PASSWORD, "short", "new_password"),
            (PASSWORD, "owner@example.org", "new_password"),
        ],
    )
    async def test_a_wrong_one_changes_nothing(self, db, current, new, field):
        identity = identity_over(db)
        actor = await signed_in(identity, await a_user(identity, email="owner@example.org"))
        with pytest.raises(InvalidInput) as refused:
            await identity.accounts.change_password(
                actor, current_password=current, new_password=new
            )
        assert [fault.field for fault in refused.value.faults] == [field]
        await identity.sessions.sign_in(NOBODY, username="owner", password=PASSWORD)

    async def test_a_sign_in_under_way_does_not_outlive_the_change(self, db):
        cast = await a_cast(db)
        sessions, accounts = cast.identity.sessions, cast.identity.accounts
        await asyncio.gather(
            accounts.change_password(
                cast.owner, current_password=PASSWORD, new_password=NEW_PASSWORD
            ),
            *(sessions.sign_in(NOBODY, username="owner", password=PASSWORD) for _ in range(5)),
            return_exceptions=True,
        )
        (only,) = await sessions.list(cast.owner)
        assert only.id == cast.owner.session_id

    async def test_resetting_it_ends_all_sessions(self, db):
        cast = await a_cast(db)
        sessions = cast.identity.sessions
        await cast.identity.accounts.reset_password(
            SYSTEM, cast.owner.owner_id, password=NEW_PASSWORD
        )
        assert await sessions.list(cast.owner) == []
        await sessions.sign_in(NOBODY, username="owner", password=NEW_PASSWORD)
        with pytest.raises(InvalidInput):
            await cast.identity.accounts.reset_password(
                SYSTEM, cast.owner.owner_id, password="short"
            )
