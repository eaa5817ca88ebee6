"""Identity: the services about people, and how they hang together."""

from dataclasses import dataclass

from palaver.domain.accounts import AccountPolicy
from palaver.kit.clock import Clock, system_clock
from palaver.services.accounts import AccountService
from palaver.services.api_keys import ApiKeyService
from palaver.services.audit import AuditService
from palaver.services.doorkeeper import Doorkeeper
from palaver.services.invites import InviteService
from palaver.services.one_time_codes import OneTimeCodes
from palaver.services.openings import Openings
from palaver.services.password_resets import PasswordResetService
from palaver.services.passwords import Passwords
from palaver.services.registrations import RegistrationService
from palaver.services.second_factor import SecondFactorService
from palaver.services.sessions import SessionService
from palaver.services.throttle import Throttle
from palaver.services.tokens import Tokens
from palaver.storage.database import Database


@dataclass(frozen=True, slots=True)
class Identity:
    """One of each; `passwords` has threads, and wants to be closed."""

    accounts: AccountService
    api_keys: ApiKeyService
    audit: AuditService
    invites: InviteService
    password_resets: PasswordResetService
    registrations: RegistrationService
    second_factor: SecondFactorService
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
    codes = OneTimeCodes(policy.secret_key)
    doorkeeper = Doorkeeper(db, clock=clock, passwords=passwords, throttle=throttle, codes=codes)
    return Identity(
        accounts=AccountService(db, policy=policy, doorkeeper=doorkeeper, clock=clock),
        api_keys=ApiKeyService(db, policy=policy, clock=clock),
        audit=AuditService(db),
        invites=InviteService(db, clock=clock),
        password_resets=PasswordResetService(db, policy=policy, passwords=passwords, clock=clock),
        registrations=RegistrationService(
            db,
            policy=policy,
            openings=openings,
            passwords=passwords,
            throttle=throttle,
            clock=clock,
        ),
        second_factor=SecondFactorService(db, policy=policy, doorkeeper=doorkeeper, clock=clock),
        sessions=SessionService(
            db, policy=policy, openings=openings, doorkeeper=doorkeeper, clock=clock
        ),
        passwords=passwords,
    )
