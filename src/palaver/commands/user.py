"""`palaver user create|promote|reset-password|remove-second-factor|list`."""

import argparse
import contextlib
import getpass
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from palaver.config import Settings, load
from palaver.domain.accounts import Registration
from palaver.domain.users import SYSTEM, Role
from palaver.kit.clock import SECOND
from palaver.main import account_policy
from palaver.services import identity
from palaver.services.identity import Identity
from palaver.storage import migrate
from palaver.storage.opening import open_database


async def user(arguments: argparse.Namespace) -> int:
    """Run the verb on the database of the settings, beside a server that may be running."""
    settings = load()
    async with _people(settings) as people:
        match arguments.verb:
            case "create":
                await _create(people, arguments)
            case "promote":
                await _promote(people, arguments.username)
            case "reset-password":
                await _reset_password(people, arguments.username, origin=_origin(settings))
            case "remove-second-factor":
                await _remove_second_factor(people, arguments.username)
            case _:
                await _list(people)
    return 0


@contextlib.asynccontextmanager
async def _people(settings: Settings) -> AsyncIterator[Identity]:
    async with contextlib.AsyncExitStack() as stack:
        db = await open_database(settings.database)
        stack.push_async_callback(db.close)
        await migrate.check(db)
        people = identity.build(db, account_policy(settings))
        stack.callback(people.passwords.close)
        yield people


async def _create(people: Identity, arguments: argparse.Namespace) -> None:
    if arguments.password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = getpass.getpass(f"Password for {arguments.username}: ")
    registration = Registration(
        username=arguments.username, password=password, email=arguments.email
    )
    role = Role.ADMIN if arguments.admin else Role.USER
    made = await people.registrations.create(SYSTEM, registration, role=role)
    print(f"Made {made.username} ({made.role.value}), id {made.id}.")


async def _promote(people: Identity, username: str) -> None:
    found = await people.accounts.get_by_name(SYSTEM, username)
    await people.accounts.update(SYSTEM, found.id, role=Role.ADMIN)
    print(f"{found.username} is an administrator now.")


async def _reset_password(people: Identity, username: str, *, origin: str) -> None:
    found = await people.accounts.get_by_name(SYSTEM, username)
    made = await people.password_resets.create(SYSTEM, found.id)
    until = datetime.fromtimestamp(made.expires_at / SECOND, UTC)
    print(f"{found.username} chooses a new password, once, until {until:%Y-%m-%d %H:%M} UTC, at")
    print(f"  {origin}{made.path}")


async def _remove_second_factor(people: Identity, username: str) -> None:
    found = await people.accounts.get_by_name(SYSTEM, username)
    await people.second_factor.remove(SYSTEM, found.id)
    print(f"{found.username} signs in by the password alone now.")


def _origin(settings: Settings) -> str:
    """Return where people reach the server, as far as the settings tell."""
    if settings.public_url:
        return settings.public_url
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{settings.port}"


async def _list(people: Identity) -> None:
    print(f"{'id':>6}  {'role':<6} {'status':<9} {'created':<17} user name")
    for account in await people.accounts.list(SYSTEM):
        status = "active" if account.is_active else "disabled"
        created = datetime.fromtimestamp(account.created_at / SECOND, UTC)
        print(
            f"{account.id:>6}  {account.role.value:<6} {status:<9} "
            f"{created:%Y-%m-%d %H:%M}  {account.username}"
        )
