import pytest

from palaver.domain.errors import DomainError
from palaver.domain.users import SYSTEM, Actor, Client, Role
from palaver.kit.clock import SECOND
from tests.cast import HOME, PASSWORD, a_cast, a_registration, identity_over
from tests.fakes.clock import StillClock

NOBODY = Actor.anonymous(HOME)


async def told(identity, **filters):
    entries = await identity.audit.list(SYSTEM, **filters)
    return [(entry.action, entry.target) for entry in reversed(entries)]


async def test_every_act_leaves_an_entry(db):
    identity = identity_over(db, bootstrap_token="token")
    root = await identity.registrations.bootstrap(
        NOBODY, token="token", username="root", password=PASSWORD
    )
    admin = await identity.sessions.authenticate_cookie(root.cookie, HOME)
    invite = await identity.invites.create(admin)
    useless = await identity.invites.create(admin)
    await identity.invites.revoke(admin, useless.code)
    ann = await identity.registrations.register(
        NOBODY, a_registration("ann"), invite_code=invite.code
    )
    for name in ("ann", "nobody"):
        with pytest.raises(DomainError):
            await identity.sessions.sign_in(NOBODY, username=name, password="wrong")
    sign_in = await identity.sessions.sign_in(NOBODY, username="ann", password=PASSWORD)
    actor = await identity.sessions.authenticate_cookie(sign_in.cookie, HOME)
    await identity.accounts.change_password(
        actor, current_password=PASSWORD, new_password="another good one"
    )
    await identity.sessions.sign_out(actor)
    await identity.accounts.update(admin, ann.id, role=Role.ADMIN, is_active=False)
    await identity.accounts.reset_password(admin, ann.id, password=PASSWORD)
    await identity.registrations.create(SYSTEM, a_registration("bob"))
    assert await told(identity) == [
        ("admin.bootstrap", "root"),
        ("invite.created", invite.code),
        ("invite.created", useless.code),
        ("invite.revoked", useless.code),
        ("auth.register", "ann"),
        ("invite.redeemed", invite.code),
        ("auth.login_failed", "ann"),
        ("auth.login_failed", None),
        ("auth.login", "ann"),
        ("auth.password_changed", "ann"),
        ("auth.logout", None),
        ("admin.role_changed", "ann: admin"),
        ("admin.status_changed", "ann: disabled"),
        ("admin.password_reset", "ann"),
        ("admin.user_created", "bob"),
    ]
    entries = await identity.audit.list(admin, action="admin.role_changed")
    (entry,) = entries
    assert (entry.actor_user_id, entry.ip, entry.user_agent) == (
        admin.user_id,
        HOME.address,
        HOME.user_agent,
    )


async def test_what_changes_nothing_leaves_no_entry(db):
    cast = await a_cast(db)
    before = await told(cast.identity)
    await cast.identity.accounts.update(
        cast.admin, cast.owner.owner_id, role=Role.USER, is_active=True
    )
    assert await told(cast.identity) == before


async def test_the_log_is_filtered(db):
    clock = StillClock()
    identity = identity_over(db, clock=clock)
    start = clock.now
    for number, name in enumerate(("Ann", "annette", "Zoë")):
        clock.move(seconds=1)
        client = Client(address=f"192.0.2.{number}", user_agent="Mozilla/5.0")
        await identity.registrations.register(Actor.anonymous(client), a_registration(name))
    register = "auth.register"
    assert await told(identity, q="ANN") == [(register, "Ann"), (register, "annette")]
    assert await told(identity, q="ZOË") == [(register, "Zoë")]
    assert await told(identity, q="192.0.2.1") == [(register, "annette")]
    assert len(await told(identity, q="mozilla")) == 3
    assert await told(identity, q="100%") == []
    assert await told(identity, action="auth.login") == []
    assert len(await told(identity, action=register, q="zo")) == 1
    assert await told(identity, since=start + 3 * SECOND) == [(register, "Zoë")]
    assert await told(identity, limit=1) == [(register, "Zoë")]


async def test_the_log_is_purged(db):
    clock = StillClock()
    identity = identity_over(db, clock=clock)
    await identity.registrations.create(SYSTEM, a_registration("ann"))
    clock.move(seconds=1)
    await identity.registrations.create(SYSTEM, a_registration("bob"))
    assert await identity.audit.purge(SYSTEM, before=clock.now) == 1
    assert await told(identity) == [("admin.user_created", "bob")]
