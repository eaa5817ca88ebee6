"""How soon does it answer, how much memory does it hold idle, how large is it installed?

Unit: seconds from the start of the process to the first healthy answer (median of five); MiB (PSS)
of all processes, idle; MiB on disk of an environment with Palaver alone, without pip.
Run: python -m bench.run footprint
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.rows import Row
from bench.stage import ROOT, palaver, postgresql


def footprint(*, on: str, quick: bool = False) -> list[Row]:
    """Measure start and idle memory; on SQLite the installed size as well."""
    rounds = 1 if quick else 5
    with tempfile.TemporaryDirectory() as folder:
        if on == "SQLite":
            rows = _on(Path(folder), None, on, rounds)
            return rows if quick else [*rows, _installed(Path(folder))]
        with postgresql() as url:
            return _on(Path(folder), url, on, rounds)


def _on(folder: Path, url: str | None, on: str, rounds: int) -> list[Row]:
    times, memory = [], []
    for _ in range(rounds):
        begun = time.perf_counter()
        with palaver(folder, database_url=url) as server:
            times.append(time.perf_counter() - begun)
            time.sleep(1)
            memory.append(server.pss_mib)
    seconds, mib = statistics.median(times), statistics.median(memory)
    return [
        Row(
            "process start to first healthy answer", on, f"{seconds:.2f} s", "< 1.0 s", seconds < 1
        ),
        Row(
            "idle memory, all processes (PSS)", on, f"{mib:.0f} MiB", "< 90 MB", mib * 1.048576 < 90
        ),
    ]


def _installed(folder: Path) -> Row:
    """Install the locked dependencies and Palaver into a new environment, and weigh it."""
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [environment / "bin/python", "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "install", "--require-hashes", "--no-deps", "-r", "requirements.lock"],
        cwd=ROOT,
        check=True,
    )
    subprocess.run([*pip, "install", "--no-deps", "."], cwd=ROOT, check=True)
    subprocess.run([*pip, "uninstall", "-y", "pip", "setuptools"], check=True)
    size = sum(
        os.lstat(Path(base) / name).st_blocks * 512
        for base, _, names in os.walk(environment)
        for name in names
    )
    mb = size / 1e6
    return Row("installed environment without pip", "", f"{mb:.0f} MB", "< 150 MB", mb < 150)
