"""`palaver user create|promote|list`."""

import argparse
import contextlib
import getpass
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from palaver.config import load
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
    async with _people() as people:
        match arguments.verb:
            case "create":
                await _create(people, arguments)
            case "promote":
                await _promote(people, arguments.username)
            case _:
                await _list(people)
    return 0


@contextlib.asynccontextmanager
async def _people() -> AsyncIterator[Identity]:
    settings = load()
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


async def _list(people: Identity) -> None:
    print(f"{'id':>6}  {'role':<6} {'status':<9} {'created':<17} user name")
    for account in await people.accounts.list(SYSTEM):
        status = "active" if account.is_active else "disabled"
        created = datetime.fromtimestamp(account.created_at / SECOND, UTC)
        print(
            f"{account.id:>6}  {account.role.value:<6} {status:<9} "
            f"{created:%Y-%m-%d %H:%M}  {account.username}"
        )
