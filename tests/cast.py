"""The cast: the owner has things, the stranger may not see them, the admin administers.

All of them are made as people come to be: through services.
"""

from dataclasses import dataclass
from typing import Any

from palaver.domain.accounts import AccountPolicy, Registration
from palaver.domain.users import SYSTEM, Actor, Client, Role, User
from palaver.kit.clock import Clock, system_clock
from palaver.services.identity import Identity, build
from palaver.services.passwords import Passwords
from palaver.storage.database import Database

PASSWORD = "a password of nobody"
SECRET_KEY = "0123456789abcdef" * 4
HOME = Client(address="192.0.2.1", user_agent="cast/1.0")


def identity_over(db: Database, *, clock: Clock = system_clock, **policy: Any) -> Identity:
    """Return the services about people; passwords are hashed for real, but at the least cost."""
    passwords = Passwords(memory_kib=8, passes=1)
    return build(
        db, AccountPolicy(secret_key=SECRET_KEY, **policy), clock=clock, passwords=passwords
    )


def a_registration(username: str = "owner", **fields: Any) -> Registration:
    """Return what somebody gives to get an account."""
    return Registration(**{"username": username, "password": PASSWORD} | fields)


async def a_user(
    identity: Identity, username: str = "owner", *, role: Role = Role.USER, **fields: Any
) -> User:
    """Return a new account."""
    return await identity.registrations.create(
        SYSTEM, a_registration(username, **fields), role=role
    )


async def signed_in(
    identity: Identity, user: User, *, client: Client = HOME, password: str = PASSWORD
) -> Actor:
    """Return the actor of a new browser's session of this user."""
    sign_in = await identity.sessions.sign_in(
        Actor.anonymous(client), username=user.username, password=password
    )
    return await identity.sessions.authenticate_cookie(sign_in.cookie, client)


@dataclass(frozen=True)
class Cast:
    """Three people who are signed in."""

    identity: Identity
    owner: Actor
    stranger: Actor
    admin: Actor


async def a_cast(db: Database, *, clock: Clock = system_clock, **policy: Any) -> Cast:
    """Return the three, and the services that know them."""
    identity = identity_over(db, clock=clock, **policy)
    return Cast(
        identity,
        owner=await signed_in(identity, await a_user(identity, "owner")),
        stranger=await signed_in(identity, await a_user(identity, "stranger")),
        admin=await signed_in(identity, await a_user(identity, "admin", role=Role.ADMIN)),
    )
