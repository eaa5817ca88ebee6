import pytest

from palaver.domain.errors import DomainError, ErrorKind, InvalidInput, NotFound
from palaver.domain.users import SYSTEM
from palaver.kit.clock import HOUR
from tests.cast import a_cast
from tests.fakes.clock import StillClock


async def test_an_invite_says_who_made_it_and_how_long_it_lasts(db):
    clock = StillClock()
    cast = await a_cast(db, clock=clock)
    invites = cast.identity.invites
    brief = await invites.create(cast.admin, expires_in_hours=24, max_uses=5)
    lasting = await invites.create(SYSTEM)
    assert (brief.created_by, brief.max_uses) == (cast.admin.user_id, 5)
    assert brief.expires_at == clock.now + 24 * HOUR
    assert (lasting.created_by, lasting.max_uses, lasting.expires_at) == (None, 1, None)
    assert brief.code != lasting.code
    assert await invites.list(cast.admin) == [lasting, brief]
    assert await invites.list(cast.admin, before=lasting.id, limit=5) == [brief]


async def test_an_invite_is_revoked_once(db):
    cast = await a_cast(db)
    invites = cast.identity.invites
    invite = await invites.create(cast.admin)
    revoked = await invites.revoke(cast.admin, invite.code)
    assert revoked.revoked_at is not None
    with pytest.raises(DomainError) as refused:
        await invites.revoke(cast.admin, invite.code)
    assert refused.value.kind is ErrorKind.ALREADY_REVOKED
    with pytest.raises(NotFound):
        await invites.revoke(cast.admin, "unknown")


@pytest.mark.parametrize(
    ("hours", "uses", "fields"),
    [
        (0, 1, ["expires_in_hours"]),
        (-1, 0, ["expires_in_hours", "max_uses"]),
        (10**9, 10**9, ["expires_in_hours", "max_uses"]),
    ],
)
async def test_an_invite_of_no_use_is_refused(db, hours, uses, fields):
    cast = await a_cast(db)
    with pytest.raises(InvalidInput) as refused:
        await cast.identity.invites.create(cast.admin, expires_in_hours=hours, max_uses=uses)
    assert [fault.field for fault in refused.value.faults] == fields
