"""The benchmarks run: a moment of each, without a look at the figures."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "name", ["requests", "lists", "streams", "resume", "retrieval", "quality", "footprint"]
)
def test_a_benchmark_measures_something(name: str) -> None:
    command = [sys.executable, "-m", "bench.run", name, "--quick", "--on", "SQLite"]
    done = subprocess.run(  # noqa: S603  # our own command
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert rows
    assert not [row for row in rows if re.search(r"\b[1-9]\d* (errors|lost|failed)|nan", row)]
