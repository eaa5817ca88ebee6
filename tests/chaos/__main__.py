"""Kill Palaver under load, again and again, and compare what people were told with the database.

    python -m tests.chaos                      200 kills on SQLite, 200 on PostgreSQL, then the races
                                               for limits, 100 kills on each, then the controls
    python -m tests.chaos sqlite --kills 20    one database, fewer kills
    python -m tests.chaos limits sqlite        the races on one database
    python -m tests.chaos webhooks sqlite      100,000 deliveries of webhooks, 50 kills
    python -m tests.chaos sqlite --control shown-early

Exits with 1 when anything promised was broken, or when a control, a fault put in on purpose, was not
found.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from typing import Final

from tests.chaos.control import CONTROLS
from tests.chaos.limits import RacePlan, race
from tests.chaos.play import Plan, play
from tests.chaos.webhooks import WebhookPlan, play_webhooks

ENGINES: Final = ("sqlite", "postgresql")
CONTROLLED: Final = (
    *(["sqlite", "--kills=8", "--terms=0", f"--control={name}"] for name in list(CONTROLS)[:-1]),
    ["limits", "postgresql", "--kills=4", "--control=unlocked"],
)


def say(line: str) -> None:
    """Print at once: a run takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Play what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", metavar="limits|webhooks|sqlite|postgresql")
    parser.add_argument("--kills", type=int, help="200, of the races 100, of webhooks 50")
    parser.add_argument("--terms", type=int, default=5)
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument("--requests", type=int, default=200, help="at once, in the races")
    parser.add_argument("--deliveries", type=int, default=100_000, help="of webhooks")
    parser.add_argument("--processes", type=int, default=1, help="on PostgreSQL")
    parser.add_argument(
        "--pause", type=float, default=0.8, help="seconds between kills, on average"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--control", choices=list(CONTROLS))
    given = parser.parse_args()
    say(f"seed {given.seed}")
    is_race = "limits" in given.what
    tells = "webhooks" in given.what
    engines = [name for name in given.what if name not in {"limits", "webhooks"}]
    if tells:
        return _verdict([run_webhooks(given, engine) > 0 for engine in engines or ENGINES])
    if not engines and is_race:
        return _verdict([_wait(_races(given))])
    if not engines and not given.control:
        return all_of_it(given)
    run = run_race if is_race else run_play
    found = [run(given, engine) for engine in engines or ["sqlite"]]
    return _verdict([(count == 0) if given.control else (count > 0) for count in found])


def run_play(given: argparse.Namespace, engine: str) -> int:
    """Play on one database, print what came of it, and return how many promises were broken."""
    plan = Plan(
        engine=engine,
        kills=given.kills or 200,
        terms=given.terms,
        people=given.people,
        processes=given.processes if engine == "postgresql" else 1,
        pause_seconds=given.pause,
        seed=given.seed,
        control=given.control,
        # A fault that leaves something undone for ever is found as well as any other.
        **({"insists_seconds": 0, "end_seconds": 10} if given.control else {}),
    )
    outcome = asyncio.run(play(plan, say=say))
    say("\n".join(outcome.lines()) + "\n")
    return outcome.verdict.total


def run_race(given: argparse.Namespace, engine: str) -> int:
    """Race for limits on one database, likewise."""
    plan = RacePlan(
        engine=engine,
        rounds=given.kills or 100,
        requests=given.requests,
        processes=given.processes if engine == "postgresql" else 1,
        kills_amid=not given.control,
        has_end=not given.control,
        seed=given.seed,
        control=given.control,
    )
    outcome = asyncio.run(race(plan, say=say))
    say("\n".join(outcome.lines()) + "\n")
    return outcome.verdict.total


def run_webhooks(given: argparse.Namespace, engine: str) -> int:
    """Tell endpoints what happens, likewise."""
    plan = WebhookPlan(
        engine=engine,
        deliveries=given.deliveries,
        kills=50 if given.kills is None else given.kills,
        seed=given.seed,
    )
    outcome = asyncio.run(play_webhooks(plan, say=say))
    say("\n".join(outcome.lines()) + "\n")
    return outcome.violations.total()


def all_of_it(given: argparse.Namespace) -> int:
    """Play, then race, on both databases at the same time, each in a process; then the controls."""
    more = ("kills", "terms", "people", "processes", "pause", "seed")
    failed = [_wait([[engine, *_options(given, more)] for engine in ENGINES])]
    failed.append(_wait(_races(given)))
    for control in CONTROLLED:
        say(f"control: {control[-1]}")
        failed.append(_wait([control]))
    return _verdict(failed)


def _races(given: argparse.Namespace) -> list[list[str]]:
    options = _options(given, ("kills", "requests", "processes", "seed"))
    return [["limits", engine, *options] for engine in ENGINES]


def _options(given: argparse.Namespace, names: tuple[str, ...]) -> list[str]:
    return [f"--{name}={value}" for name in names if (value := getattr(given, name)) is not None]


def _wait(plays: list[list[str]]) -> bool:
    """Start plays together, each in a process of its own; tell whether one of them has failed."""
    command = [sys.executable, "-m", "tests.chaos"]
    started = [subprocess.Popen([*command, *arguments]) for arguments in plays]  # noqa: S603  # ours
    codes = [process.wait() for process in started]
    return any(codes)


def _verdict(failed: list[bool]) -> int:
    say("FAILED" if any(failed) else "passed")
    return int(any(failed))


if __name__ == "__main__":
    sys.exit(main())
