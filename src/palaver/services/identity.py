"""Identity: the services about people, and how they hang together."""

from dataclasses import dataclass

from palaver.domain.accounts import AccountPolicy
from palaver.kit.clock import Clock, system_clock
from palaver.services.accounts import AccountService
from palaver.services.audit import AuditService
from palaver.services.doorkeeper import Doorkeeper
from palaver.services.invites import InviteService
from palaver.services.openings import Openings
from palaver.services.passwords import Passwords
from palaver.services.registrations import RegistrationService
from palaver.services.sessions import SessionService
from palaver.services.throttle import Throttle
from palaver.services.tokens import Tokens
from palaver.storage.database import Database


@dataclass(frozen=True, slots=True)
class Identity:
    """One of each; `passwords` has threads, and wants to be closed."""

    accounts: AccountService
    audit: AuditService
    invites: InviteService
    registrations: RegistrationService
    sessions: SessionService
    passwords: Passwords


def build(
    db: Database,
    policy: AccountPolicy,
    *,
    clock: Clock = system_clock,
    passwords: Passwords | None = None,
) -> Identity:
    """Make the services about people over one database."""
    passwords = passwords or Passwords()
    throttle = Throttle(attempts_per_minute=policy.attempts_per_minute)
    openings = Openings(policy, Tokens(policy.secret_key))
    doorkeeper = Doorkeeper(db, clock=clock, passwords=passwords, throttle=throttle)
    return Identity(
        accounts=AccountService(db, policy=policy, doorkeeper=doorkeeper, clock=clock),
        audit=AuditService(db),
        invites=InviteService(db, clock=clock),
        registrations=RegistrationService(
            db,
            policy=policy,
            openings=openings,
            passwords=passwords,
            throttle=throttle,
            clock=clock,
        ),
        sessions=SessionService(
            db, policy=policy, openings=openings, doorkeeper=doorkeeper, clock=clock
        ),
        passwords=passwords,
    )
