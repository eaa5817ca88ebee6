"""What an operator types: one file a command."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from palaver import __version__
from palaver.commands.options import add_models, add_plans, add_webhooks

Command = Callable[[argparse.Namespace], Awaitable[int]]

EPILOG: Final = """\
Settings come from environment variables PALAVER_* and from the TOML file that PALAVER_CONFIG
names; docs/configuration.md lists them. `palaver doctor` says what is configured and what is wrong.
"""


def run(arguments: Sequence[str]) -> int:
    """Parse and run one command; return its exit status (0 well, 1 failed, 2 wrong usage)."""
    given = _parser().parse_args(arguments)
    # Imported by name: `palaver --help` answers at once, and `routes` opens no database.
    from palaver.commands.registry import COMMANDS  # noqa: PLC0415  # see above
    from palaver.commands.trouble import EXPECTED, sentence_of  # noqa: PLC0415  # see above

    try:
        return _in_loop(COMMANDS[given.command](given))
    except EXPECTED as error:
        print(f"palaver: {sentence_of(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


async def _awaited(work: Awaitable[int]) -> int:
    return await work


def _in_loop(work: Awaitable[int]) -> int:
    """Run on uvloop where it can be had."""
    try:
        import uvloop  # noqa: PLC0415  # not on every platform
    except ImportError:
        return asyncio.run(_awaited(work))
    return uvloop.run(_awaited(work))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="palaver",
        description="A self-hosted AI chat platform: one server, one store, five API contracts.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"palaver {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, help: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=help, description=f"{help}.")

    add("serve", "Serve until told to stop (the database is brought up to date first)")
    add("doctor", "Say what is configured, which providers answer, and what is wrong")
    add("migrate", "Bring the database up to date, and stop")
    routes = add("routes", "Print every URL, and the function that answers it")
    routes.add_argument("word", nargs="?", default="", help="only routes that hold this text")
    _add_users(add("user", "Make, promote, mend and list accounts"))
    add_plans(add("plan", "Make, change and list plans, and put people on them"))
    add_models(add("model", "List, add and change models"))
    _add_usage(add("usage", "Show what plans leave to people, and count it anew"))
    add_webhooks(add("webhook", "List and test webhooks, and send again what they were told"))
    return parser


def _add_usage(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    show = verbs.add_parser("show", help="print plan, limits, and what is held by running answers")
    recount = verbs.add_parser(
        "recount", help="make the sums anew from the ledger, and say whose were wrong"
    )
    for verb in (show, recount):
        verb.add_argument("username", nargs="?", help="the user name or e-mail address; else all")


def _add_users(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    create = verbs.add_parser("create", help="make an account; asks for the password")
    create.add_argument("username")
    create.add_argument("--email")
    create.add_argument("--admin", action="store_true", help="make it an administrator")
    create.add_argument(
        "--password-stdin", action="store_true", help="read the password from standard input"
    )
    promote = verbs.add_parser("promote", help="make an account an administrator")
    promote.add_argument("username", help="the user name or e-mail address")
    reset = verbs.add_parser(
        "reset-password", help="print a link by which somebody chooses a new password, once"
    )
    reset.add_argument("username", help="the user name or e-mail address")
    remove = verbs.add_parser(
        "remove-second-factor", help="let somebody who lost it sign in by the password alone"
    )
    remove.add_argument("username", help="the user name or e-mail address")
    verbs.add_parser("list", help="print all accounts")
