"""A receiver of webhooks on a loopback port: each of its paths is an endpoint that behaves as told."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiohttp import web

HANG: Final = 0
"""In place of a status: say nothing until the receiver closes."""
RESET: Final = -1
"""Close the connection without an answer."""


@dataclass(frozen=True)
class Received:
    """A request that came."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float  # on the monotonic clock

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def event(self) -> str:
        event: str = self.json["event"]
        return event


@dataclass
class Behaviour:
    """What an endpoint does: its statuses in turn, the last again and again."""

    statuses: list[int] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict)
    text: str = "ok"
    delay_seconds: float = 0.0


class Receiver:
    """Serves every path; those that were not told otherwise answer 200."""

    def __init__(self, *, port: int = 0) -> None:
        self.port = port
        self.secret = ""  # of whoever tells it, for a test to keep
        self.received: list[Received] = []
        self.at_once = 0
        self.most_at_once: dict[str, int] = {}
        self._now: dict[str, int] = {}
        self._behaviours: dict[str, Behaviour] = {}
        self._closing = asyncio.Event()
        self._came = asyncio.Condition()
        self._runner: web.ServerRunner | None = None

    def url(self, path: str = "/hook") -> str:
        """Return the address of an endpoint."""
        return f"http://127.0.0.1:{self.port}{path}"

    def behave(self, path: str, *statuses: int, **more: Any) -> None:
        """Tell an endpoint what to do from now on."""
        self._behaviours[path] = Behaviour(list(statuses) or [200], **more)

    def of(self, path: str = "/hook") -> list[Received]:
        """Return what came to an endpoint, in order."""
        return [each for each in self.received if each.path == path]

    async def wait_for(
        self, count: int, *, path: str = "/hook", within_seconds: float = 10
    ) -> list[Received]:
        """Return what came to an endpoint, once there are so many."""
        async with asyncio.timeout(within_seconds), self._came:
            await self._came.wait_for(lambda: len(self.of(path)) >= count)
        return self.of(path)

    async def __aenter__(self) -> Self:
        server = web.Server(self._serve, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._runner is not None
        self._closing.set()
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        path = request.path
        self._now[path] = self._now.get(path, 0) + 1
        self.most_at_once[path] = max(self.most_at_once.get(path, 0), self._now[path])
        try:
            async with self._came:
                self.received.append(Received(path, request.headers, body, time.monotonic()))
                self._came.notify_all()
            return await self._answer(request, self._behaviours.get(path, Behaviour()))
        finally:
            self._now[path] -= 1

    async def _answer(self, request: web.BaseRequest, behaviour: Behaviour) -> web.StreamResponse:
        statuses = behaviour.statuses
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        if behaviour.delay_seconds:
            await asyncio.sleep(behaviour.delay_seconds)
        if status == HANG:
            await self._closing.wait()
            return web.Response()
        if status == RESET:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(status=status, text=behaviour.text, headers=behaviour.headers)
