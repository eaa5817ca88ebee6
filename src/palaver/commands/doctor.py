"""`palaver doctor`: what is configured, which providers answer, what is wrong, what to do.

It changes nothing: neither the database nor a secret is made before the first start.
"""

import argparse
import asyncio
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from palaver import __version__
from palaver.commands.trouble import EXPECTED, sentence_of
from palaver.config import Settings, has_secret_key, load
from palaver.domain.identity_providers import IdentityProviderSettings
from palaver.domain.providers import ProviderSettings
from palaver.domain.users import SYSTEM
from palaver.outbound.embedders import build as build_embedder
from palaver.outbound.oidc import build as build_identity_provider
from palaver.outbound.web_search import build as build_search
from palaver.providers import build as build_provider
from palaver.services.health import HealthService
from palaver.storage.database import Database
from palaver.storage.migrate import check, schema_version
from palaver.storage.opening import is_postgresql, open_database, sqlite_path
from palaver.storage.statements import Engine

PROVIDER_SECONDS = 5.0
EMBEDDER_SECONDS = 60.0


class Finding(msgspec.Struct, frozen=True):
    """One line of the report; `is_wrong` makes the command fail."""

    text: str
    is_wrong: bool = False


async def doctor(_: argparse.Namespace) -> int:
    """Look at everything in turn, and print a line for each as it is known."""
    wrong = 0
    settings = load()
    async for finding in findings(settings):
        print(f"{'✗' if finding.is_wrong else '✓'} {finding.text}", flush=True)
        wrong += finding.is_wrong
    print("Nothing is wrong." if not wrong else f"{wrong} to mend.")
    return 1 if wrong else 0


async def findings(settings: Settings) -> AsyncIterator[Finding]:
    """Yield what there is to say about an installation."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding(f"Palaver {__version__} on Python {version}; settings read.")
    yield _data_directory(settings)
    yield _address(settings)
    async for finding in _database(settings):
        yield finding
    checks = [
        *map(_provider, settings.providers),
        _web_search(settings),
        _embedder(settings),
        *map(_identity_provider, settings.identity_providers),
    ]
    for finding in await asyncio.gather(*checks):
        yield finding


def _data_directory(settings: Settings) -> Finding:
    path = settings.data_dir.absolute()
    if not path.exists():
        return Finding(f"Data directory {path}: not there yet, made at the first start.")
    if not os.access(path, os.W_OK):
        return Finding(f"Data directory {path}: cannot be written by this user.", is_wrong=True)
    loose = [
        name
        for name in ("secret_key", "bootstrap_token")
        if (path / name).exists() and stat.S_IMODE((path / name).stat().st_mode) & 0o077
    ]
    if loose:
        sentence = f"Data directory {path}: others can read {', '.join(loose)}; chmod 600 them."
        return Finding(sentence, is_wrong=True)
    return Finding(f"Data directory {path}.")


def _address(settings: Settings) -> Finding:
    where = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            return Finding(f"Address {where}: {error.strerror} (is Palaver running already?).")
    return Finding(f"Address {where}: free.")


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    try:
        if not _is_there(settings.database):
            yield Finding("Database: SQLite, made at the first start.")
            return
        db = await open_database(settings.database)
    except EXPECTED as error:
        yield Finding(f"Database: {sentence_of(error)}", is_wrong=True)
        return
    try:
        async for finding in _opened(db, settings):
            yield finding
    except EXPECTED as error:
        yield Finding(f"Database: {sentence_of(error)}", is_wrong=True)
    finally:
        await db.close()


def _is_there(database: str) -> bool:
    """Tell whether there is a file to open: opening it would make it. A server is asked."""
    return is_postgresql(database) or Path(sqlite_path(database)).exists()


async def _opened(db: Database, settings: Settings) -> AsyncIterator[Finding]:
    name = "SQLite" if db.engine is Engine.SQLITE else "PostgreSQL"
    version = await schema_version(db)
    if version == 0:
        yield Finding(f"Database: {name}, empty; its tables are made at the first start.")
        return
    await check(db)
    yield Finding(f"Database: {name}, schema {version}.")
    found = await HealthService(db).installation(SYSTEM)
    if found.has_administrator:
        yield Finding(f"Accounts: there is an administrator; sign-up is {settings.registration}.")
    else:
        yield Finding(f"Accounts: no administrator yet; {_way_to_the_first(settings)}.")
    if found.has_accounts and not has_secret_key(settings):
        yield Finding(
            f"Secret key: neither PALAVER_SECRET_KEY nor {settings.data_dir / 'secret_key'} is "
            "there. The next start makes a new one, and everybody has to sign in again; "
            "bring the old one back if you have it.",
            is_wrong=True,
        )


def _way_to_the_first(settings: Settings) -> str:
    if settings.bootstrap_token == "":
        return "PALAVER_BOOTSTRAP_TOKEN is empty, so only `palaver user create --admin` makes one"
    return "`palaver serve` prints the link that makes one"


async def _provider(given: ProviderSettings) -> Finding:
    label = f"Provider {given.id}" + (f" ({given.base_url})" if given.base_url else "")
    try:
        provider = build_provider(given)
        try:
            async with asyncio.timeout(PROVIDER_SECONDS):
                models = await provider.list_models()
        finally:
            await provider.close()
    except TimeoutError:
        return _silent(given, f"{label}: no answer within {PROVIDER_SECONDS:g} seconds.")
    except EXPECTED as error:
        return _silent(given, f"{label}: {sentence_of(error)}")
    return Finding(f"{label}: answers, {len(models)} model{'s' if len(models) != 1 else ''}.")


def _silent(given: ProviderSettings, sentence: str) -> Finding:
    """Word an absence: that a local server does not run is no fault unless it was asked for."""
    if given.is_local:
        return Finding(f"{sentence} Not running; start it if you want its models.")
    return Finding(sentence, is_wrong=True)


async def _web_search(settings: Settings) -> Finding:
    """Ask the engine one question: nothing less shows that it answers."""
    given = settings.search_engine
    if given is None:
        return Finding(_NO_ENGINE[settings.web_search == "off"])
    engine = build_search(given)
    label = f"Web search: {engine.name} ({given.base_url})"
    try:
        hits = await engine.search("palaver", limit=1)
    except EXPECTED as error:
        return Finding(f"{label}: {sentence_of(error)}", is_wrong=True)
    finally:
        await engine.close()
    return Finding(f"{label}: answers{'' if hits else ', but found nothing'}.")


async def _embedder(settings: Settings) -> Finding:
    """Have a word embedded; a model from a folder is read for it."""
    if settings.embedder is None:
        return Finding("Embedder: none set up; memories and documents are found by words alone.")
    embedder = build_embedder(settings.embedder)
    label = f"Embedder: {embedder.id}"
    try:
        async with asyncio.timeout(EMBEDDER_SECONDS):
            found = await embedder.embed(["palaver"], is_query=True)
    except TimeoutError:
        return Finding(f"{label}: no answer within {EMBEDDER_SECONDS:g} seconds.", is_wrong=True)
    except EXPECTED as error:
        return Finding(f"{label}: {sentence_of(error)}", is_wrong=True)
    finally:
        await embedder.close()
    return Finding(f"{label}: answers, {len(found.vectors[0]) // 4} dimensions.")


async def _identity_provider(given: IdentityProviderSettings) -> Finding:
    """Ask for its discovery document and its keys: people can sign in with no less."""
    provider = build_identity_provider(given)
    label = f"Single sign-on: {given.id} ({given.issuer})"
    try:
        await provider.check()
    except EXPECTED as error:
        return Finding(f"{label}: {sentence_of(error)}", is_wrong=True)
    finally:
        await provider.close()
    return Finding(f"{label}: discovery answers.")


_NO_ENGINE = {
    True: "Web search: turned off.",
    False: "Web search: no engine set up; models whose provider searches by itself can.",
}
