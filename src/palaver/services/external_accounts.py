"""External accounts: which account somebody has whom an identity provider vouches for.

The danger is that somebody gets into the account of somebody else. So only issuer and subject say
who it is. An e-mail address is believed where the provider has verified it, joins accounts only
where a setting says so, and never becomes anybody's who has it already.
"""

from typing import Final

import msgspec

from palaver.domain.accounts import (
    AccountPolicy,
    Registration,
    RegistrationMode,
    email_key,
    is_email,
    is_name,
)
from palaver.domain.errors import DomainError, ErrorKind, NotFound
from palaver.domain.identity_providers import ExternalIdentity, LinkByEmail
from palaver.domain.users import Actor, AuditAction, Role, User
from palaver.services.audit import note
from palaver.storage.database import Conflict
from palaver.storage.tx import Tx

NO_PASSWORD: Final = ""
"""Stands where a hash would: no password is right."""


class Newcomer(msgspec.Struct, frozen=True):
    """Somebody who came back from a provider, and by what invite they may stay."""

    identity: ExternalIdentity
    provider_id: str
    invite_code: str | None


class ExternalAccounts:
    """Finds, joins or makes the account of an identity."""

    def __init__(self, policy: AccountPolicy, *, link_by_email: LinkByEmail) -> None:
        self.policy = policy
        self.link_by_email = link_by_email

    async def account_of(self, tx: Tx, actor: Actor, newcomer: Newcomer, *, at: int) -> User:
        """Return whose identity this is; its first sign-in joins it to an account, or makes one.

        Raises `DomainError` (`REGISTRATION_CLOSED`, `INVALID_INVITE`, `USER_INACTIVE`), and
        `Conflict` when somebody else was quicker: then it has to be looked for again.
        """
        identity, provider_id = newcomer.identity, newcomer.provider_id
        user = await self._known(tx, identity)
        if user is not None:
            await tx.external_identities.touch(
                identity.issuer, identity.subject, provider_id=provider_id, at=at
            )
            return active(user)
        user = await self._by_email(tx, identity)
        if user is not None:
            user = active(user)
            who = msgspec.structs.replace(actor, user_id=user.id)
            done = AuditAction.IDENTITY_LINKED
            await note(tx, who, done, user.username, details=[f"by {provider_id}"], at=at)
        else:
            user = await self._registered(tx, actor, newcomer, at=at)
        if not await tx.external_identities.insert(
            identity.issuer, identity.subject, owner_id=user.id, provider_id=provider_id, at=at
        ):
            raise Conflict
        return user

    async def _known(self, tx: Tx, identity: ExternalIdentity) -> User | None:
        id = await tx.external_identities.find(identity.issuer, identity.subject)
        if id is None:
            return None
        try:
            return await tx.users.lock(id)
        except NotFound:
            # The account was deleted: whoever comes now is new.
            await tx.external_identities.forget(id)
            return None

    async def _by_email(self, tx: Tx, identity: ExternalIdentity) -> User | None:
        email = identity.verified_email
        key = email_key(email)
        if self.link_by_email is LinkByEmail.OFF or email is None or key is None or "@" not in key:
            return None
        found = await tx.users.find_by_login(key)
        if found is None:
            return None
        user = await tx.users.lock(found.id)
        if user.email is None or email_key(user.email) != key:
            raise Conflict
        if not (email.isascii() and user.email.isascii()):
            # Signs that look alike fold into one, but are mailboxes of two people.
            return None
        is_vouched_for = self.link_by_email is LinkByEmail.ALL or user.verified_at is not None
        return user if is_vouched_for else None

    async def _registered(self, tx: Tx, actor: Actor, newcomer: Newcomer, *, at: int) -> User:
        code = (newcomer.invite_code or "").strip()
        if self.policy.registration is RegistrationMode.CLOSED:
            raise DomainError("Registration is closed.", kind=ErrorKind.REGISTRATION_CLOSED)
        if self.policy.registration is RegistrationMode.INVITE and not code:
            raise _invalid_invite()
        user = await self._inserted(tx, newcomer.identity, at=at)
        who = msgspec.structs.replace(actor, user_id=user.id)
        by = [f"by {newcomer.provider_id}"]
        await note(tx, who, AuditAction.REGISTERED, user.username, details=by, at=at)
        if code:
            if await tx.invites.redeem(code, user_id=user.id, at=at) is None:
                raise _invalid_invite()
            await note(tx, who, AuditAction.INVITE_REDEEMED, code, at=at)
        return user

    async def _inserted(self, tx: Tx, identity: ExternalIdentity, *, at: int) -> User:
        email = await _free_email(tx, identity)
        name = identity.name if identity.name and is_name(identity.name) else None
        for username in identity.usernames():
            registration = Registration(username=username, password="", email=email, name=name)
            user = await tx.users.insert(
                registration, password_hash=NO_PASSWORD, role=Role.USER, at=at
            )
            if user is None:
                continue
            if email is not None:
                user = await tx.users.set_verified_at(user.id, at=at)
            return user
        raise Conflict


def active(user: User) -> User:
    """Return the user. Raises `DomainError` (`USER_INACTIVE`)."""
    if not user.is_active:
        raise DomainError("This account is disabled.", kind=ErrorKind.USER_INACTIVE)
    return user


async def _free_email(tx: Tx, identity: ExternalIdentity) -> str | None:
    """Return the verified address, if it is one and nobody has it."""
    email = identity.verified_email
    if email is None or not is_email(email):
        return None
    taken = await tx.users.taken(Registration(username="", password="", email=email))
    return None if "email" in taken else email


def _invalid_invite() -> DomainError:
    message = "A valid invite code is needed: this one is missing, used up, revoked or expired."
    return DomainError(message, kind=ErrorKind.INVALID_INVITE)
