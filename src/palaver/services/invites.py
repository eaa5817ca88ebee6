"""Invites: codes by which somebody may register. For administrators."""

from typing import Final

from palaver.domain.cursors import LAST_ID, LIMIT, LIMIT_MAX, Stretch, parse_cursor
from palaver.domain.errors import DomainError, ErrorKind, Fault, FieldFault, InvalidInput
from palaver.domain.users import Actor, AuditAction, Invite
from palaver.kit.clock import HOUR, Clock, system_clock
from palaver.kit.ids import new_secret
from palaver.services.audit import note
from palaver.storage.database import Database

LIST_LIMIT: Final = 1000
MAX_HOURS: Final = 10 * 365 * 24
MAX_USES: Final = 1_000_000
CODE_BYTES: Final = 16


class InviteService:
    """Invites; they are redeemed by registering."""

    def __init__(self, db: Database, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.clock = clock

    async def create(
        self, actor: Actor, *, expires_in_hours: int | None = None, max_uses: int = 1
    ) -> Invite:
        """Make an invite; without hours it never expires. Raises `InvalidInput`."""
        actor.require_admin()
        hours = expires_in_hours
        if faults := [
            *_range_faults("expires_in_hours", hours, MAX_HOURS),
            *_range_faults("max_uses", max_uses, MAX_USES),
        ]:
            raise InvalidInput(faults)
        async with self.db.transaction() as tx:
            at = self.clock()
            invite = await tx.invites.create(
                code=new_secret(size_bytes=CODE_BYTES),
                created_by=actor.user_id,
                max_uses=max_uses,
                expires_at=None if hours is None else at + hours * HOUR,
                at=at,
            )
            await note(tx, actor, AuditAction.INVITE_CREATED, invite.code, at=at)
        return invite

    async def revoke(self, actor: Actor, code: str) -> Invite:
        """Make an invite useless. Raises `NotFound`, `DomainError` (`ALREADY_REVOKED`)."""
        actor.require_admin()
        async with self.db.transaction() as tx:
            at = self.clock()
            invite = await tx.invites.revoke(code, at=at)
            if invite is None:
                await tx.invites.get(code)
                message = "This invite is revoked already."
                raise DomainError(message, kind=ErrorKind.ALREADY_REVOKED)
            await note(tx, actor, AuditAction.INVITE_REVOKED, code, at=at)
        return invite

    async def list(
        self, actor: Actor, *, before: int = LAST_ID, limit: int = LIST_LIMIT
    ) -> list[Invite]:
        """Return invites with ids below `before`, newest first, at most 1000."""
        actor.require_admin()
        async with self.db.read() as tx:
            return await tx.invites.list(before=before, limit=min(limit, LIST_LIMIT))

    async def page(
        self, actor: Actor, *, cursor: str | None = None, limit: int = LIMIT
    ) -> Stretch[Invite]:
        """Return invites, newest first, at most 1000. Raises `InvalidInput`."""
        actor.require_admin()
        before, limit = parse_cursor(cursor, first=LAST_ID), min(limit, LIMIT_MAX)
        async with self.db.read() as tx:
            found = await tx.invites.list(before=before, limit=limit + 1)
        return Stretch.of(found, limit=limit, id=lambda invite: invite.id)


def _range_faults(field: str, value: int | None, most: int) -> list[FieldFault]:
    path = ("body", field)
    if value is None or 1 <= value <= most:
        return []
    if value < 1:
        return [FieldFault(path, Fault.TOO_SMALL, "This must be at least 1.", limit=1)]
    return [FieldFault(path, Fault.TOO_LARGE, f"This may be at most {most}.", limit=most)]
