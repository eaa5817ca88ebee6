import pytest

from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.users import SYSTEM, Actor
from palaver.storage.database import Conflict
from tests.cast import HOME, PASSWORD, a_user, identity_over

NOBODY = Actor.anonymous(HOME)


async def test_a_password_that_changed_after_the_check_is_checked_again(db):
    identity = identity_over(db)
    user = await a_user(identity)
    doorkeeper = identity.sessions.doorkeeper
    entry = await doorkeeper.check(NOBODY, "owner", PASSWORD)
    await identity.accounts.reset_password(SYSTEM, user.id, password="another good one")
    with pytest.raises(Conflict):
        async with db.transaction() as tx:
            await doorkeeper.admit(tx, entry)


async def test_who_was_disabled_after_the_check_is_not_admitted(db):
    identity = identity_over(db)
    user = await a_user(identity)
    doorkeeper = identity.sessions.doorkeeper
    entry = await doorkeeper.check(NOBODY, "owner", PASSWORD)
    await identity.accounts.update(SYSTEM, user.id, is_active=False)
    with pytest.raises(DomainError) as refused:
        async with db.transaction() as tx:
            await doorkeeper.admit(tx, entry)
    assert refused.value.kind is ErrorKind.USER_INACTIVE
