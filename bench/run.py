"""Run the benchmarks: python -m bench.run [requests] [streams] [resume] [footprint] [--quick].

Prints the table, and writes it to docs/benchmarks.md when all of them ran in full.
"""

import argparse
import datetime
import platform
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.bench_footprint import footprint
from bench.bench_ingestion import ingestion
from bench.bench_limits import limits
from bench.bench_lists import lists
from bench.bench_quality import quality
from bench.bench_requests import requests
from bench.bench_resume import resume
from bench.bench_retrieval import retrieval
from bench.bench_streams import streams
from bench.rows import Row
from bench.stage import ROOT, pin_load

BENCHES = {
    "requests": requests,
    "lists": lists,
    "streams": streams,
    "resume": resume,
    "limits": limits,
    "retrieval": retrieval,
    "quality": quality,
    "ingestion": ingestion,
    "footprint": footprint,
}
HEAD = """# Benchmarks

Written by `make bench`. Server on one core, load and upstream on the other; Palaver and its floor
in turn in one run; rates, CPU and latencies are medians of five, while search, starts, reconnects
and memory are taken once. What each floor is, stands in `bench/floors/`: a bare ASGI
application on the same server that does the same work with no framework, no authentication, no
checks; the relay's floor stores nothing. PostgreSQL shares the two cores.

CPU a token is taken while all of them stream: the starts and ends of runs come on top. A first
delta's delay is the time from the request to it, less the pause of the upstream before its first
token. Memory a stream is that of the first round, before the end: what has been freed once is not
given back to the system.

"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BENCHES)}")
    parser.add_argument("--quick", action="store_true", help="a second each: does it run at all?")
    parser.add_argument("--on", choices=["SQLite", "PostgreSQL"], help="one database alone")
    given = parser.parse_args()
    pin_load()
    rows: list[Row] = []
    for name in given.names or BENCHES:
        for on in [given.on] if given.on else ["SQLite", "PostgreSQL"]:
            print(f"… {name} on {on}", file=sys.stderr, flush=True)
            for row in BENCHES[name](on=on, quick=given.quick):
                print(row.line(), flush=True)
                rows.append(row)
    if not given.names and not given.on and not given.quick:
        (ROOT / "docs/benchmarks.md").write_text(page(rows))
    return 0


def page(rows: list[Row]) -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    today = datetime.datetime.now(datetime.UTC).date()
    version = platform.python_version()
    lines = ["| What | Database | Measured | Target | Met |", "|---|---|---|---|---|"]
    return "\n".join(
        [
            HEAD + f"Taken on {today}, commit {commit}, Python {version}, 2 cores.\n",
            *lines,
            *(row.line() for row in rows),
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
