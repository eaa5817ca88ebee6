"""Kill Palaver under load, again and again, and compare what people were told with the database.

    python -m tests.chaos                      200 kills on SQLite, 200 on PostgreSQL, the controls
    python -m tests.chaos sqlite --kills 20    one database, fewer kills
    python -m tests.chaos sqlite --control shown-early

Exits with 1 when anything promised was broken, or when a control, a fault put in on purpose, was not
found.
"""

import argparse
import asyncio
import subprocess
import sys
import time

from tests.chaos.control import CONTROLS
from tests.chaos.play import Outcome, Plan, play


def say(line: str) -> None:
    """Print at once: a run takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run(plan: Plan) -> Outcome:
    """Play one plan, and print what came of it."""
    outcome = asyncio.run(play(plan, say=say))
    say("\n".join(outcome.lines()) + "\n")
    return outcome


def main() -> int:
    """Play what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("engines", nargs="*", metavar="sqlite|postgresql")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--terms", type=int, default=5)
    parser.add_argument("--people", type=int, default=24)
    parser.add_argument("--processes", type=int, default=1, help="on PostgreSQL")
    parser.add_argument(
        "--pause", type=float, default=0.8, help="seconds between kills, on average"
    )
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--control", choices=list(CONTROLS))
    given = parser.parse_args()
    say(f"seed {given.seed}")
    failed = False
    if len(given.engines) != 1 and not given.control:
        return all_of_it(given)
    for engine in given.engines or ["sqlite"]:
        plan = Plan(
            engine=engine,
            kills=given.kills,
            terms=given.terms,
            people=given.people,
            processes=given.processes if engine == "postgresql" else 1,
            pause_seconds=given.pause,
            seed=given.seed,
            control=given.control,
            # A fault that leaves something undone for ever is found as well as any other.
            **({"insists_seconds": 0, "end_seconds": 10} if given.control else {}),
        )
        found = run(plan).verdict.total
        failed |= (found == 0) if given.control else (found > 0)
    say("FAILED" if failed else "passed")
    return int(failed)


def all_of_it(given: argparse.Namespace) -> int:
    """Play both databases at the same time, each in a process of its own, then the controls."""
    more = [f"--{name}={getattr(given, name)}" for name in ("terms", "people", "pause", "seed")]
    plays = [
        ["sqlite", f"--kills={given.kills}", *more],
        ["postgresql", f"--kills={given.kills}", f"--processes={given.processes}", *more],
    ]
    controls = [["sqlite", "--kills=8", "--terms=0", f"--control={name}"] for name in CONTROLS]
    failed = [code for code in map(subprocess.Popen.wait, [*map(_started, plays)]) if code]
    for control in controls:
        say(f"control: {control[-1]}")
        failed += [code for code in [_started(control).wait()] if code]
    say("FAILED" if failed else "passed: everything held, and every control was found")
    return int(bool(failed))


def _started(arguments: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "tests.chaos", *arguments])  # noqa: S603  # ours


if __name__ == "__main__":
    sys.exit(main())
