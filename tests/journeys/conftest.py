"""The product as its user runs it: `palaver serve` in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Served:
    """A running server."""

    url: str
    data_dir: Path
    printed: Path

    @property
    def said(self) -> str:
        """Return what it has printed so far."""
        return self.printed.read_text()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Give a function that starts a server on a fresh data directory and waits until it answers."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(**environ: str) -> Served:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        data_dir, printed = tmp_path / "data", tmp_path / "printed"
        shell = os.environ  # noqa: TID251  # what a user's shell has
        kept = {key: value for key, value in shell.items() if not key.startswith("PALAVER_")}
        given = {"PALAVER_PORT": str(port), "PALAVER_DATA_DIR": str(data_dir), **environ}
        with printed.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "palaver", "serve"],
                env=kept | given,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        processes.append(process)
        served = Served(f"http://127.0.0.1:{port}", data_dir, printed)
        _wait(served, process)
        return served

    yield start
    for process in processes:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, "the server did not end well"


def _wait(served: Served, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, served.said
        try:
            with urllib.request.urlopen(f"{served.url}/health", timeout=1):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.05)
    raise AssertionError("the server does not answer")
