"""With a second factor a stolen password alone lets nobody in, and no code is good twice."""

import asyncio
from typing import Any

import pytest

from palaver.domain import otp
from palaver.domain.accounts import AccountPolicy, SecondFactorDuty
from palaver.domain.errors import DomainError, ErrorKind, InvalidInput, NotFound
from palaver.domain.otp import OneTimeCodeRefused
from palaver.domain.passwords import PasswordPolicy
from palaver.domain.users import SYSTEM, Actor, CookieSignIn, Role
from palaver.services.identity import Identity, build
from palaver.storage.database import Database
from palaver.storage.statements import Statement
from tests.cast import HOME, PASSWORD, SECRET_KEY, a_user, identity_over, signed_in
from tests.fakes.clock import StillClock

NOBODY = Actor.anonymous(HOME)


class Phone:
    """An authenticator app, with its clock."""

    def __init__(self, secret: str, clock: StillClock) -> None:
        self.secret = secret
        self.clock = clock

    def code(self, *, skew: int = 0) -> str:
        """Return what it shows."""
        return otp.code_of(self.secret, otp.step_at(self.clock()) + skew)

    def next_code(self) -> str:
        """Return the next code, once it is time for it."""
        self.clock.move(seconds=otp.PERIOD_SECONDS)
        return self.code()


async def enrolled(identity: Identity, actor: Actor, clock: StillClock) -> tuple[Phone, list[str]]:
    """Set a second factor up; return the app, and the recovery codes."""
    begun = await identity.second_factor.enrol(actor, password=PASSWORD)
    phone = Phone(begun.secret, clock)
    return phone, await identity.second_factor.confirm(actor, code=phone.code())


async def sign_in(identity: Identity, code: str | None, **given: Any) -> CookieSignIn:
    return await identity.sessions.sign_in(
        NOBODY, **({"username": "owner", "password": PASSWORD, "otp": code} | given)
    )


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def identity(db: Database, clock: StillClock) -> Identity:
    return identity_over(db, clock=clock, attempts_per_minute=0)


@pytest.fixture
async def owner(identity: Identity) -> Actor:
    return await signed_in(identity, await a_user(identity, "owner"))


async def test_it_counts_once_a_first_code_has_come_back(
    identity: Identity, owner: Actor, clock: StillClock
) -> None:
    begun = await identity.second_factor.enrol(owner, password=PASSWORD)
    await sign_in(identity, None)
    status = await identity.second_factor.status(owner)
    assert (status.confirmed_at, status.recovery_codes_left) == (None, 0)
    with pytest.raises(InvalidInput):
        await identity.second_factor.confirm(owner, code="000000")
    codes = await identity.second_factor.confirm(owner, code=Phone(begun.secret, clock).code())
    assert len(set(codes)) == 10
    status = await identity.second_factor.status(owner)
    assert (status.confirmed_at, status.recovery_codes_left) == (clock(), 10)


async def test_every_login_takes_a_code_from_then_on(
    identity: Identity, owner: Actor, clock: StillClock
) -> None:
    phone, _ = await enrolled(identity, owner, clock)
    for code in (None, "", " ", "000000", "aaaa-bbbb-cccc-dddd", "\0"):
        with pytest.raises(OneTimeCodeRefused) as raised:
            await sign_in(identity, code)
        assert raised.value.kind is ErrorKind.INVALID_CREDENTIALS
        assert "one-time code" in raised.value.message
    await sign_in(identity, phone.next_code())
    await identity.sessions.sign_in_for_tokens(
        NOBODY, username="owner", password=PASSWORD, otp=phone.next_code()
    )


async def test_a_wrong_password_does_not_tell_of_the_second_factor(
    identity: Identity, owner: Actor, clock: StillClock
) -> None:
    await enrolled(identity, owner, clock)
    with pytest.raises(DomainError) as raised:
        await sign_in(identity, None, password="wrong")
    assert not isinstance(raised.value, OneTimeCodeRefused)
    assert "code" not in raised.value.message


async def test_no_code_is_good_twice(identity: Identity, owner: Actor, clock: StillClock) -> None:
    phone, _ = await enrolled(identity, owner, clock)
    with pytest.raises(OneTimeCodeRefused):
        await sign_in(identity, phone.code())  # it confirmed the app
    code = phone.next_code()
    await sign_in(identity, code)
    with pytest.raises(OneTimeCodeRefused):
        await sign_in(identity, code)
    with pytest.raises(OneTimeCodeRefused):
        await sign_in(identity, phone.code(skew=-1))  # older than the last one used


@pytest.mark.parametrize("kind", ["of the app", "for recovery"])
async def test_of_many_who_send_one_code_at_once_one_gets_in(
    identity: Identity, owner: Actor, clock: StillClock, kind: str
) -> None:
    phone, recovery_codes = await enrolled(identity, owner, clock)
    code = phone.next_code() if kind == "of the app" else recovery_codes[3]
    results = await asyncio.gather(
        *(sign_in(identity, code) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(result, CookieSignIn) for result in results) == 1
    assert sum(isinstance(result, OneTimeCodeRefused) for result in results) == 4


async def test_a_recovery_code_stands_in_once(
    identity: Identity, owner: Actor, clock: StillClock
) -> None:
    _, codes = await enrolled(identity, owner, clock)
    await sign_in(identity, codes[0].upper().replace("-", " "))
    with pytest.raises(OneTimeCodeRefused):
        await sign_in(identity, codes[0])
    assert (await identity.second_factor.status(owner)).recovery_codes_left == 9
    actions = [entry.action for entry in await identity.audit.list(SYSTEM)]
    assert "auth.recovery_code_used" in actions


async def test_new_recovery_codes_put_an_end_to_the_old_ones(
    identity: Identity, owner: Actor, clock: StillClock
) -> None:
    phone, old = await enrolled(identity, owner, clock)
    new = await identity.second_factor.renew_codes(owner, password=PASSWORD, code=phone.next_code())
    assert not set(new) & set(old)
    with pytest.raises(OneTimeCodeRefused):
        await sign_in(identity, old[0])
    await sign_in(identity, new[0])


async def test_setting_it_up_ends_the_other_sessions(
    identity: Identity, owner: Actor, clock: StillClock
) -> None:
    other = await sign_in(identity, None)
    await enrolled(identity, owner, clock)
    with pytest.raises(DomainError) as raised:
        await identity.sessions.authenticate_cookie(other.cookie, HOME)
    assert raised.value.kind is ErrorKind.SESSION_EXPIRED
    assert [each.id for each in await identity.sessions.list(owner)] == [owner.session_id]


async def test_a_password_found_lying_about_does_not_take_it_off(
    identity: Identity, owner: Actor, clock: StillClock
) -> None:
    phone, _ = await enrolled(identity, owner, clock)
    service = identity.second_factor
    for password, code, field in (
        ("wrong", phone.next_code(), "password"),
        (PASSWORD, None, "otp"),
        (PASSWORD, "000000", "otp"),
    ):
        for refused in (
            service.disable(owner, password=password, code=code),
            service.renew_codes(owner, password=password, code=code),
            identity.accounts.change_password(
                owner, current_password=password, new_password="another good one", otp=code
            ),
            identity.accounts.delete_own(owner, password=password, otp=code),
        ):
            with pytest.raises(InvalidInput) as raised:
                await refused
            assert raised.value.faults[0].field in {field, f"current_{field}"}
    await service.disable(owner, password=PASSWORD, code=phone.next_code())
    await sign_in(identity, None)
    status = await service.status(owner)
    assert (status.confirmed_at, status.recovery_codes_left) == (None, 0)
    with pytest.raises(DomainError) as conflict:
        await service.disable(owner, password=PASSWORD, code=None)
    assert conflict.value.kind is ErrorKind.CONFLICT


async def test_there_is_one_at_a_time(identity: Identity, owner: Actor, clock: StillClock) -> None:
    with pytest.raises(DomainError) as raised:
        await identity.second_factor.confirm(owner, code="123456")
    assert raised.value.kind is ErrorKind.CONFLICT
    phone, _ = await enrolled(identity, owner, clock)
    for again in (
        identity.second_factor.enrol(owner, password=PASSWORD),
        identity.second_factor.confirm(owner, code=phone.next_code()),
    ):
        with pytest.raises(DomainError) as raised:
            await again
        assert raised.value.kind is ErrorKind.CONFLICT


async def test_another_begin_gives_another_secret(
    identity: Identity, owner: Actor, clock: StillClock
) -> None:
    first = await identity.second_factor.enrol(owner, password=PASSWORD)
    second = await identity.second_factor.enrol(owner, password=PASSWORD)
    assert first.secret != second.secret
    with pytest.raises(InvalidInput):
        await identity.second_factor.confirm(owner, code=Phone(first.secret, clock).code())
    await identity.second_factor.confirm(owner, code=Phone(second.secret, clock).code())


async def test_wrong_codes_are_throttled_as_wrong_passwords_are(
    db: Database, clock: StillClock
) -> None:
    identity = identity_over(db, clock=clock, attempts_per_minute=3)
    owner = await signed_in(identity, await a_user(identity, "owner"))
    phone, _ = await enrolled(identity, owner, clock)
    for code in ("000000", None, "111111"):
        with pytest.raises(OneTimeCodeRefused):
            await sign_in(identity, code)
    with pytest.raises(DomainError) as raised:
        await sign_in(identity, phone.next_code())
    assert raised.value.kind is ErrorKind.LOGIN_THROTTLED
    clock.move(seconds=60)
    await sign_in(identity, phone.code())


async def test_the_database_does_not_tell_the_secret_or_the_codes(
    db: Database, identity: Identity, owner: Actor, clock: StillClock
) -> None:
    phone, codes = await enrolled(identity, owner, clock)
    async with db.read() as tx:
        found = []
        for table in ("second_factors", "recovery_codes", "audit_entries"):
            rows = Statement(f"select * from {table}", lambda *row: row)  # noqa: S608
            found += await tx._connection.all(rows)
    text = repr(found)
    assert phone.secret not in text
    assert not [code for code in codes if code in text or code.replace("-", "") in text]


async def test_under_another_secret_key_it_is_refused_and_not_passed_over(
    db: Database, identity: Identity, owner: Actor, clock: StillClock
) -> None:
    phone, codes = await enrolled(identity, owner, clock)
    policy = AccountPolicy(secret_key=SECRET_KEY[::-1])
    moved = build(db, policy, clock=clock, passwords=identity.passwords)
    for code in (phone.next_code(), codes[0]):
        with pytest.raises(DomainError):
            await sign_in(moved, code)


@pytest.mark.parametrize(
    ("duty", "role", "is_due"),
    [
        (SecondFactorDuty.OFF, Role.ADMIN, False),
        (SecondFactorDuty.ADMINS, Role.USER, False),
        (SecondFactorDuty.ADMINS, Role.ADMIN, True),
        (SecondFactorDuty.EVERYBODY, Role.USER, True),
    ],
)
async def test_who_must_have_one_is_told_from_who_may(
    db: Database, clock: StillClock, duty: SecondFactorDuty, role: Role, *, is_due: bool
) -> None:
    identity = identity_over(db, clock=clock, second_factor=duty)
    user = await a_user(identity, "somebody", role=role)
    actor = await signed_in(identity, user)
    assert actor.must_enrol is is_due
    assert (await identity.second_factor.status(actor)).is_required is is_due
    phone, _ = await enrolled(identity, actor, clock)
    sign = await sign_in(identity, phone.next_code(), username="somebody")
    actor = await identity.sessions.authenticate_cookie(sign.cookie, HOME)
    assert not actor.must_enrol
    if is_due:
        with pytest.raises(DomainError) as raised:
            await identity.second_factor.disable(actor, password=PASSWORD, code=phone.next_code())
        assert raised.value.kind is ErrorKind.FORBIDDEN


async def test_an_administrator_takes_it_off_for_who_lost_it(
    identity: Identity, owner: Actor, clock: StillClock
) -> None:
    await enrolled(identity, owner, clock)
    admin = await signed_in(identity, await a_user(identity, "admin", role=Role.ADMIN))
    with pytest.raises(DomainError) as raised:
        await identity.second_factor.remove(owner, admin.owner_id)
    assert raised.value.kind is ErrorKind.ADMIN_REQUIRED
    await identity.second_factor.remove(admin, owner.owner_uuid)
    assert await identity.sessions.list(owner) == []
    await sign_in(identity, None)
    with pytest.raises(DomainError):
        await identity.second_factor.remove(admin, owner.owner_id)
    with pytest.raises(InvalidInput):
        await identity.second_factor.remove(admin, admin.owner_id)
    with pytest.raises(NotFound):
        await identity.second_factor.remove(admin, 9_999_999)


async def test_where_long_passwords_are_wanted_a_short_one_keeps_its_second_factor(
    db: Database, clock: StillClock
) -> None:
    policy = {"password_policy": PasswordPolicy.STRICT, "attempts_per_minute": 0}
    identity = identity_over(db, clock=clock, **policy)
    owner = await signed_in(identity, await a_user(identity, "owner"))
    phone, _ = await enrolled(identity, owner, clock)
    short = "zebra crossing"
    await identity.accounts.change_password(
        owner, current_password=PASSWORD, new_password=short, otp=phone.next_code()
    )
    with pytest.raises(InvalidInput, match="too short"):
        await identity.second_factor.disable(owner, password=short, code=phone.next_code())
    assert (await identity.second_factor.status(owner)).confirmed_at is not None


async def test_codes_are_not_guessed_however_many_addresses_try(
    identity: Identity, owner: Actor, clock: StillClock
) -> None:
    phone, recovery_codes = await enrolled(identity, owner, clock)
    for _ in range(10):
        with pytest.raises(OneTimeCodeRefused):
            await sign_in(identity, "000000")
    for wait in (30, 60, 120):
        for code in ("000000", phone.next_code() if wait > 30 else phone.code(skew=1)):
            with pytest.raises(DomainError) as raised:
                await sign_in(identity, code)
            assert raised.value.kind is ErrorKind.LOGIN_THROTTLED
            assert 0 < (raised.value.retry_after_seconds or 0) <= wait
        clock.move(seconds=wait)
        with pytest.raises(OneTimeCodeRefused):
            await sign_in(identity, "000000")
    await sign_in(identity, recovery_codes[0])  # its owner still gets in, and counting begins anew
    await sign_in(identity, phone.next_code())


async def test_who_does_not_know_the_password_blocks_nobody(
    identity: Identity, owner: Actor, clock: StillClock
) -> None:
    phone, _ = await enrolled(identity, owner, clock)
    for _ in range(20):
        with pytest.raises(DomainError):
            await sign_in(identity, "000000", password="wrong")
    await sign_in(identity, phone.next_code())
