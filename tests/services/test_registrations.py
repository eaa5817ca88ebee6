import asyncio

import pytest

from palaver.domain.accounts import RegistrationMode, Taken
from palaver.domain.errors import DomainError, ErrorKind, InvalidInput
from palaver.domain.passwords import PasswordPolicy
from palaver.domain.users import SYSTEM, Actor, Role
from tests.cast import HOME, PASSWORD, a_registration, a_user, identity_over
from tests.fakes.clock import StillClock

NOBODY = Actor.anonymous(HOME)
TOKEN = "a token of the operator"


async def outcome(work):
    """Return the kind of error that came of it, or None."""
    try:
        await work
    except DomainError as error:
        return error.kind
    return None


def bootstrap(identity, token=TOKEN, username="root"):
    return identity.registrations.bootstrap(
        NOBODY, token=token, username=username, password=PASSWORD
    )


class TestRegistering:
    async def test_whoever_registers_is_a_user_and_can_sign_in(self, db):
        identity = identity_over(db)
        user = await identity.registrations.register(
            NOBODY, a_registration("Ann", email="ann@example.org", name="Ann", phone_number="+4930")
        )
        assert (user.username, user.email, user.name) == ("Ann", "ann@example.org", "Ann")
        assert (user.role, user.is_active, user.last_login_at) == (Role.USER, True, None)
        await identity.sessions.sign_in(NOBODY, username="ann", password=PASSWORD)

    async def test_registering_can_sign_in_by_cookie_or_tokens(self, db):
        identity = identity_over(db)
        browser = await identity.registrations.register_and_sign_in(NOBODY, a_registration("ann"))
        program = await identity.registrations.register_for_tokens(
            NOBODY, a_registration("bob"), access_lifetime_seconds=3600
        )
        ann = await identity.sessions.authenticate_cookie(browser.cookie, HOME)
        bob = await identity.sessions.authenticate_token(program.access_token, HOME)
        assert (ann.user_id, bob.user_id) == (browser.user.id, program.user.id)
        assert browser.user.last_login_at is not None

    @pytest.mark.parametrize(
        ("fields", "taken"),
        [
            ({"username": "OWNER"}, ("username",)),
            ({"email": "Owner@EXAMPLE.org"}, ("email",)),
            ({"phone_number": "+49 (30) 1234"}, ("phone_number",)),
            (
                {"username": "owner", "email": "owner@example.org", "phone_number": "+49301234"},
                ("username", "email", "phone_number"),
            ),
        ],
    )
    async def test_each_name_belongs_to_one_account(self, db, fields, taken):
        identity = identity_over(db)
        await a_user(identity, email="owner@example.org", phone_number="+49301234")
        with pytest.raises(Taken) as refused:
            await identity.registrations.register(
                NOBODY, a_registration(**({"username": "other"} | fields))
            )
        assert refused.value.fields == taken

    async def test_of_parallel_registrations_of_one_name_one_succeeds(self, db):
        identity = identity_over(db)
        outcomes = await asyncio.gather(
            *(
                outcome(identity.registrations.register(NOBODY, a_registration(name)))
                for name in ("ann", "Ann", "ANN", "aNN") * 3
            )
        )
        assert sorted(outcomes, key=str).count(ErrorKind.USERNAME_TAKEN) == 11
        assert outcomes.count(None) == 1

    async def test_the_password_policy_is_the_operators(self, db):
        identity = identity_over(db, password_policy=PasswordPolicy.STRICT)
        with pytest.raises(InvalidInput):
            await identity.registrations.register(
                NOBODY, a_registration("ann", password="password123")
            )

    async def test_a_closed_server_registers_nobody_but_its_administrators_do(self, db):
        identity = identity_over(db, registration=RegistrationMode.CLOSED)
        invite = await identity.invites.create(SYSTEM)
        refused = identity.registrations.register(NOBODY, a_registration(), invite_code=invite.code)
        assert await outcome(refused) is ErrorKind.REGISTRATION_CLOSED
        await identity.registrations.create(SYSTEM, a_registration())

    async def test_only_administrators_create_accounts_for_others(self, db):
        identity = identity_over(db)
        refused = identity.registrations.create(NOBODY, a_registration(), role=Role.ADMIN)
        assert await outcome(refused) is ErrorKind.ADMIN_REQUIRED


class TestInvites:
    async def test_by_invitation_means_with_a_code(self, db):
        identity = identity_over(db, registration=RegistrationMode.INVITE)
        invite = await identity.invites.create(SYSTEM)
        register = identity.registrations.register
        for code in (None, "", " ", "unknown", "nul\0", "é", "x" * 5000):
            refused = register(NOBODY, a_registration(), invite_code=code)
            assert await outcome(refused) is ErrorKind.INVALID_INVITE
        user = await register(NOBODY, a_registration(), invite_code=invite.code)
        (used,) = await identity.invites.list(SYSTEM)
        assert (used.uses, used.used_by) == (1, user.id)

    async def test_an_open_server_checks_a_code_that_is_sent(self, db):
        identity = identity_over(db)
        refused = identity.registrations.register(NOBODY, a_registration(), invite_code="unknown")
        assert await outcome(refused) is ErrorKind.INVALID_INVITE

    async def test_parallel_registrations_never_use_a_code_too_often(self, db):
        identity = identity_over(db, registration=RegistrationMode.INVITE)
        invite = await identity.invites.create(SYSTEM, max_uses=3)
        outcomes = await asyncio.gather(
            *(
                outcome(
                    identity.registrations.register(
                        NOBODY, a_registration(f"name{number}"), invite_code=invite.code
                    )
                )
                for number in range(12)
            )
        )
        assert outcomes.count(None) == 3
        assert outcomes.count(ErrorKind.INVALID_INVITE) == 9
        assert len(await identity.accounts.list(SYSTEM)) == 3

    async def test_a_registration_that_fails_uses_no_code(self, db):
        identity = identity_over(db, registration=RegistrationMode.INVITE)
        await a_user(identity)
        invite = await identity.invites.create(SYSTEM)
        register = identity.registrations.register
        refused = register(NOBODY, a_registration("owner"), invite_code=invite.code)
        assert await outcome(refused) is ErrorKind.USERNAME_TAKEN
        await register(NOBODY, a_registration("other"), invite_code=invite.code)

    async def test_a_code_runs_out(self, db):
        clock = StillClock()
        identity = identity_over(db, clock=clock, registration=RegistrationMode.INVITE)
        invite = await identity.invites.create(SYSTEM, expires_in_hours=1, max_uses=2)
        register = identity.registrations.register
        clock.move(seconds=3599)
        await register(NOBODY, a_registration("ann"), invite_code=invite.code)
        clock.move(seconds=1)
        refused = register(NOBODY, a_registration("bob"), invite_code=invite.code)
        assert await outcome(refused) is ErrorKind.INVALID_INVITE


class TestBootstrap:
    async def test_the_token_makes_one_administrator_for_good(self, db):
        identity = identity_over(db, bootstrap_token=TOKEN)
        assert not await identity.registrations.has_administrator(SYSTEM)
        sign_in = await bootstrap(identity)
        assert sign_in.user.role is Role.ADMIN
        assert await identity.registrations.has_administrator(SYSTEM)
        actor = await identity.sessions.authenticate_cookie(sign_in.cookie, HOME)
        actor.require_admin()
        await identity.accounts.update(SYSTEM, sign_in.user.id, role=Role.USER)
        refused = bootstrap(identity, username="second")
        assert await outcome(refused) is ErrorKind.BOOTSTRAP_DISABLED

    async def test_without_a_token_there_is_nothing_to_guess(self, db):
        identity = identity_over(db)
        for token in ("", TOKEN):
            assert await outcome(bootstrap(identity, token)) is ErrorKind.BOOTSTRAP_DISABLED

    async def test_of_parallel_calls_one_succeeds(self, db):
        identity = identity_over(db, bootstrap_token=TOKEN)
        outcomes = await asyncio.gather(
            *(outcome(bootstrap(identity, username=f"root{number}")) for number in range(8))
        )
        assert outcomes.count(None) == 1
        assert outcomes.count(ErrorKind.BOOTSTRAP_DISABLED) == 7
        assert len(await identity.accounts.list(SYSTEM)) == 1

    async def test_a_wrong_token_is_refused_and_soon_not_even_looked_at(self, db):
        identity = identity_over(
            db, clock=StillClock(), bootstrap_token=TOKEN, attempts_per_minute=3
        )
        for token in ("", TOKEN[:-1], "é"):
            assert await outcome(bootstrap(identity, token)) is ErrorKind.INVALID_BOOTSTRAP_TOKEN
        assert await outcome(bootstrap(identity)) is ErrorKind.LOGIN_THROTTLED

    @pytest.mark.parametrize("way", ["created", "promoted"])
    async def test_an_administrator_of_any_origin_disables_it(self, db, way):
        identity = identity_over(db, bootstrap_token=TOKEN)
        if way == "created":
            await a_user(identity, role=Role.ADMIN)
        else:
            user = await a_user(identity)
            await identity.accounts.update(SYSTEM, user.id, role=Role.ADMIN)
        assert await outcome(bootstrap(identity)) is ErrorKind.BOOTSTRAP_DISABLED

    async def test_a_name_that_is_taken_leaves_the_token_good(self, db):
        identity = identity_over(db, bootstrap_token=TOKEN)
        await a_user(identity)
        assert await outcome(bootstrap(identity, username="Owner")) is ErrorKind.USERNAME_TAKEN
        assert await outcome(bootstrap(identity)) is None
