"""A killed process: what it acknowledged is there, and no body by half."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import palaver
from palaver.storage.sqlite import open_sqlite
from tests.databases import new_sqlite
from tests.storage.test_blocks import INSERT, names

ROOT = Path(palaver.__file__).parent.parent.parent
KILLS = 3
ACKNOWLEDGED = 300


def test_what_was_acknowledged_before_a_kill_is_there_and_no_body_by_half(tmp_path):
    path = new_sqlite(tmp_path).removeprefix("sqlite:///")
    acknowledged: set[str] = set()
    for number in range(KILLS):
        process = subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, __file__, path, str(number)],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        )
        assert process.stdout is not None
        for line in process.stdout:
            acknowledged.add(line.strip())
            if len(acknowledged) >= ACKNOWLEDGED * (number + 1):
                os.kill(process.pid, signal.SIGKILL)
                break
        # What stood in the pipe was acknowledged too; the last line may be cut.
        acknowledged.update(line.strip() for line in process.stdout if line.endswith("\n"))
        process.stdout.close()
        process.wait()
    found, health = asyncio.run(inspect(path))
    assert health == "ok"
    assert {f"{name}-a" for name in acknowledged} <= found
    assert {name[:-2] for name in found if name.endswith("-a")} == {
        name[:-2] for name in found if name.endswith("-b")
    }


async def inspect(path: str) -> tuple[set[str], str]:
    db = open_sqlite(path)
    found = set(await names(db))
    health = db._reader.pragma("integrity_check")
    await db.close()
    return found, str(health)


async def write(path: str, prefix: str) -> None:
    """Write for ever, twenty tasks at once; print what is durable."""
    db = open_sqlite(path)

    async def work(task: int) -> None:
        for number in range(1_000_000):
            name = f"{prefix}-{task}-{number}"
            async with db.transaction() as tx:
                await tx._connection.run(INSERT, name=f"{name}-a", value="x")
                await tx._connection.run(INSERT, name=f"{name}-b", value="x")
            print(name, flush=True)  # noqa: T201  # our report

    await asyncio.gather(*map(work, range(20)))


if __name__ == "__main__":
    asyncio.run(write(*sys.argv[1:]))
