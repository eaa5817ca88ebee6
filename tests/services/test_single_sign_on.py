"""Single sign-on on both databases: whose account it is, and what is good only once."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from palaver.domain.accounts import AccountPolicy, RegistrationMode
from palaver.domain.errors import DomainError, ErrorKind, InvalidInput
from palaver.domain.identity_providers import (
    Ceremony,
    Departure,
    ExternalIdentity,
    LinkByEmail,
    Refusal,
    SingleSignOn,
)
from palaver.domain.users import SYSTEM, Actor, User
from palaver.services.identity import Identity
from palaver.services.single_sign_on import Arrival, Return, SingleSignOnService
from palaver.storage.database import Database
from tests.cast import HOME, SECRET_KEY, a_user, identity_over
from tests.http import MovableClock

SOMEBODY = Actor.anonymous(HOME)
BROWSER = "b" * 43
ADA = ExternalIdentity(
    issuer="https://auth.example.org",
    subject="ada-1",
    username="ada",
    email="ada@example.org",
    is_email_verified=True,
)
TO_APP = Departure("told", "https://here/callback", "https://app.example.org/", is_own=False)
TO_US = msgspec.structs.replace(TO_APP, target="https://here/", is_own=True)


class ToldProvider:
    """Says that whoever comes is `identity`."""

    id = "told"
    name = "Told"

    def __init__(self, identity: ExternalIdentity) -> None:
        self.identity = identity
        self.ceremonies: list[Ceremony] = []

    async def authorization_url(self, ceremony: Ceremony) -> str:
        self.ceremonies.append(ceremony)
        return f"https://auth.example.org/?state={ceremony.state}"

    async def identify(
        self,
        ceremony: Ceremony,
        code: str,
        *,
        issuer: str | None,
    ) -> ExternalIdentity:
        assert ceremony in self.ceremonies
        await asyncio.sleep(0)
        return self.identity

    async def check(self) -> None: ...

    async def close(self) -> None: ...


class Door:
    """The service with its provider, and the way there and back."""

    def __init__(
        self, db: Database, people: Identity, clock: MovableClock, **settings: Any
    ) -> None:
        self.db = db
        self.clock = clock
        self.provider = ToldProvider(ADA)
        link = settings.pop("link_by_email", LinkByEmail.OFF)
        self.service = SingleSignOnService(
            db,
            [self.provider],
            policy=AccountPolicy(secret_key=SECRET_KEY, **settings),
            settings=SingleSignOn(link_by_email=link),
            openings=people.sessions.openings,
            throttle=people.registrations.throttle,
            clock=clock,
        )

    async def state(self, departure: Departure) -> str:
        """Go there; return the state of it."""
        await self.service.begin(SOMEBODY, departure, browser=BROWSER)
        return self.provider.ceremonies[-1].state

    async def back(self, state: str, *, browser: str = BROWSER) -> Arrival:
        """Come back."""
        return await self.service.finish(
            SOMEBODY, Return(state=state, code="code"), browser=browser
        )

    async def enter(self, **identity: Any) -> User:
        """Sign in as somebody; return their account."""
        self.provider.identity = msgspec.structs.replace(ADA, **identity)
        arrival = await self.back(await self.state(TO_US))
        assert arrival.sign_in is not None, arrival
        return arrival.sign_in.user

    async def refusal(self, **identity: Any) -> Refusal:
        """Try to sign in as somebody; return why that does not work."""
        self.provider.identity = msgspec.structs.replace(ADA, **identity)
        arrival = await self.back(await self.state(TO_US))
        assert arrival.error == "access_denied"
        return arrival.refusal


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def people(db: Database, clock: MovableClock) -> Identity:
    return identity_over(db, clock=clock)


@pytest.fixture
def door(db: Database, people: Identity, clock: MovableClock) -> Callable[..., Door]:
    """Give what makes the service by its settings."""
    return lambda **settings: Door(db, people, clock, **settings)


async def verified(db: Database, user: User, clock: MovableClock) -> User:
    """Return somebody whose e-mail address is known to be their own."""
    async with db.transaction() as tx:
        return await tx.users.set_verified_at(user.id, at=clock())


async def test_issuer_and_subject_are_who_it_is(door: Callable[..., Door]) -> None:
    here = door()
    ada = await here.enter()
    assert (ada.username, ada.email, ada.has_password) == ("ada", "ada@example.org", False)
    assert ada.verified_at is not None
    assert (await here.enter(username="x", email="y@example.org")).id == ada.id
    assert (await here.enter(subject="ADA-1")).id != ada.id
    assert (await here.enter(issuer="https://auth.example.org/")).id != ada.id


async def test_names_that_are_taken_or_cannot_be_are_changed(door: Callable[..., Door]) -> None:
    here = door()
    wanted = [
        ({"username": "Ada"}, "Ada"),
        ({"username": "ada"}, "ada2"),
        ({"username": "ada@example.org"}, "ada3"),
        ({"username": None, "email": "grace.h@example.org"}, "grace.h"),
        ({"username": None, "email": None, "name": "Emmy  Noether"}, "Emmy..Noether"),
        ({"username": "  <b>Bad/Name</b>\x00 "}, "bBadNameb"),
        ({"username": "Ада Лавлейс"}, "Ада.Лавлейс"),
        ({"username": "@", "email": None}, "user"),
        ({"username": "…", "email": None, "name": "-"}, "user2"),
        ({"username": "n" * 200}, "n" * 64),
    ]
    for number, (claims, username) in enumerate(wanted):
        assert (await here.enter(subject=f"s{number}", **claims)).username == username
    many = [await here.enter(subject=f"many{n}") for n in range(12)]
    assert len({user.username for user in many}) == 12


async def test_an_address_that_is_not_verified_is_nobodys(door: Callable[..., Door]) -> None:
    user = await door().enter(is_email_verified=False)
    assert (user.email, user.verified_at) == (None, None)


@pytest.mark.parametrize("email", ["no address", "a@b", "x" * 300, "a@example.org\n"])
async def test_an_address_that_is_none_is_left_out(door: Callable[..., Door], email: str) -> None:
    assert (await door().enter(email=email)).email is None


@pytest.mark.parametrize(
    ("link", "is_ours_verified", "is_theirs_verified", "joins"),
    [
        (LinkByEmail.OFF, True, True, False),
        (LinkByEmail.VERIFIED, True, True, True),
        (LinkByEmail.VERIFIED, False, True, False),
        (LinkByEmail.VERIFIED, True, False, False),
        (LinkByEmail.ALL, False, True, True),
        (LinkByEmail.ALL, True, False, False),
    ],
)
async def test_accounts_are_joined_by_email_where_the_setting_says_so(
    door: Callable[..., Door],
    people: Identity,
    db: Database,
    clock: MovableClock,
    *,
    link: LinkByEmail,
    is_ours_verified: bool,
    is_theirs_verified: bool,
    joins: bool,
) -> None:
    local = await a_user(people, "local", email="Ada@Example.org")
    if is_ours_verified:
        await verified(db, local, clock)
    here = door(link_by_email=link)
    found = await here.enter(is_email_verified=is_theirs_verified)
    assert (found.id == local.id) is joins
    if not joins:
        # It stays whose it is: nobody signs in by another's address.
        assert found.email is None
    assert (await here.enter(email=None)).id == found.id
    entries = await people.audit.list(SYSTEM, action="auth.identity_linked")
    assert len(entries) == joins


async def test_a_user_name_is_no_address_to_join_by(
    door: Callable[..., Door], people: Identity, db: Database, clock: MovableClock
) -> None:
    local = await verified(db, await a_user(people, "ada"), clock)
    here = door(link_by_email=LinkByEmail.ALL)
    assert (await here.enter(email="ada")).id != local.id


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("ada@example.org", "\uff41da@example.org"),
        ("\uff41da@example.org", "ada@example.org"),
        ("ada@example.org", "ada@\uff45xample.org"),
        ("michael@example.org", "michael\u200b@example.org"),
    ],
)
async def test_addresses_that_only_look_alike_join_nothing(
    door: Callable[..., Door],
    people: Identity,
    db: Database,
    clock: MovableClock,
    ours: str,
    theirs: str,
) -> None:
    local = await verified(db, await a_user(people, "local", email=ours), clock)
    for link in (LinkByEmail.VERIFIED, LinkByEmail.ALL):
        here = door(link_by_email=link)
        assert (await here.enter(subject=link, email=theirs)).id != local.id


async def test_somebody_who_is_disabled_is_neither_joined_nor_let_in(
    door: Callable[..., Door], people: Identity
) -> None:
    local = await a_user(people, "local", email="ada@example.org")
    await people.accounts.update(SYSTEM, local.id, is_active=False)
    here = door(link_by_email=LinkByEmail.ALL)
    assert await here.refusal() is Refusal.DISABLED
    await people.accounts.update(SYSTEM, local.id, is_active=True)
    assert (await here.enter()).id == local.id
    await people.accounts.update(SYSTEM, local.id, is_active=False)
    assert await here.refusal() is Refusal.DISABLED
    entries = await people.audit.list(SYSTEM, action="auth.login_failed")
    assert [entry.target for entry in entries] == ["by told"] * 2


async def test_who_deleted_their_account_is_new(
    door: Callable[..., Door], people: Identity
) -> None:
    here = door()
    ada = await here.enter()
    await people.accounts.delete(SYSTEM, ada.id)
    again = await here.enter()
    assert (again.id != ada.id, again.username, again.email) == (True, "ada", "ada@example.org")
    code = (await here.back(await here.state(TO_APP))).code or ""
    await people.accounts.delete(SYSTEM, again.id)
    with pytest.raises(DomainError) as caught:
        await here.service.redeem(SOMEBODY, code)
    assert caught.value.kind is ErrorKind.INVALID_CREDENTIALS


async def test_registration_is_obeyed(door: Callable[..., Door], people: Identity) -> None:
    assert await door(registration=RegistrationMode.CLOSED).refusal() is Refusal.CLOSED
    invited = door(registration=RegistrationMode.INVITE)
    assert await invited.refusal() is Refusal.NOT_INVITED
    ada = await door().enter()
    # Whoever has an account needs no invite.
    assert (await invited.enter()).id == ada.id
    assert (await door(registration=RegistrationMode.CLOSED).enter()).id == ada.id
    invite = await people.invites.create(SYSTEM)
    there = msgspec.structs.replace(TO_US, invite_code=invite.code)
    invited.provider.identity = msgspec.structs.replace(ADA, subject="grace-1")
    assert (await invited.back(await invited.state(there))).sign_in is not None
    invited.provider.identity = msgspec.structs.replace(ADA, subject="emmy-1")
    late = await invited.back(await invited.state(there))
    assert late.refusal is Refusal.NOT_INVITED
    assert len(await people.accounts.list(SYSTEM)) == 2


async def test_two_first_sign_ins_at_once_make_one_account(
    door: Callable[..., Door], people: Identity
) -> None:
    here = door()
    states = [await here.state(TO_US) for _ in range(5)]
    arrivals = await asyncio.gather(*(here.back(state) for state in states))
    assert len({arrival.sign_in.user.id for arrival in arrivals if arrival.sign_in}) == 1
    assert len(await people.accounts.list(SYSTEM)) == 1


async def test_of_parallel_returns_one_succeeds(door: Callable[..., Door]) -> None:
    here = door()
    state = await here.state(TO_US)
    outcomes = await asyncio.gather(*(here.back(state) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(outcome, Arrival) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, InvalidInput) for outcome in outcomes) == 4


async def test_of_parallel_exchanges_one_succeeds(door: Callable[..., Door]) -> None:
    here = door()
    code = (await here.back(await here.state(TO_APP))).code or ""
    outcomes = await asyncio.gather(
        *(here.service.redeem(SOMEBODY, code) for _ in range(5)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, DomainError)]
    assert [error.kind for error in refused] == [ErrorKind.INVALID_CREDENTIALS] * 4


async def test_a_state_belongs_to_a_browser_and_a_time(
    door: Callable[..., Door], clock: MovableClock
) -> None:
    here = door()
    state = await here.state(TO_US)
    for browser in ("", "c" * 43):
        with pytest.raises(InvalidInput):
            await here.back(state, browser=browser)
    challenged = msgspec.structs.replace(TO_US, code_challenge="c" * 43)
    own = await here.state(challenged)
    with pytest.raises(InvalidInput):
        await here.back(own, browser="")
    elsewhere = msgspec.structs.replace(TO_APP, code_challenge="c" * 43)
    assert (await here.back(await here.state(elsewhere), browser="")).code
    assert (await here.back(state)).sign_in is not None
    state = await here.state(TO_US)
    clock.move(seconds=601)
    with pytest.raises(InvalidInput):
        await here.back(state)


async def test_what_has_run_out_is_forgotten(
    door: Callable[..., Door], db: Database, clock: MovableClock
) -> None:
    here = door()
    state = await here.state(TO_APP)
    code = (await here.back(await here.state(TO_APP))).code or ""
    clock.move(seconds=601)
    await here.back(await here.state(TO_APP))
    clock.move(seconds=-601)
    with pytest.raises(InvalidInput):
        await here.back(state)
    with pytest.raises(DomainError):
        await here.service.redeem(SOMEBODY, code)


async def test_every_sign_in_has_secrets_of_its_own(door: Callable[..., Door]) -> None:
    here = door()
    for _ in range(3):
        await here.state(TO_US)
    made = [
        secret
        for ceremony in here.provider.ceremonies
        for secret in (ceremony.state, ceremony.nonce, ceremony.code_verifier)
    ]
    assert len(set(made)) == 9
    assert all(43 <= len(secret) <= 128 for secret in made)
