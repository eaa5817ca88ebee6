"""Connections to PostgreSQL, lent one at a time, in the order of asking."""

import asyncio
import socket
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import asyncpg

from palaver.kit.metrics import gauge
from palaver.storage.database import Busy, Closed, commit_times

WAIT_SECONDS = 10.0
"""How long somebody waits for a connection that others have before it gets `Busy`."""

_GOODBYE_SECONDS: Final = 2.0
_SILENT_SECONDS: Final = 20
_APART_SECONDS: Final = 5
_GONE_MILLISECONDS: Final = 10_000

Raw: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Lively(asyncpg.Connection):
    """A connection that ends within half a minute when its server vanishes without a word."""

    __slots__ = ()

    def __init__(self, protocol: Any, transport: asyncio.Transport, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        keep_alive(transport.get_extra_info("socket"))


def keep_alive(sock: socket.socket) -> None:
    """Let the system ask a silent peer whether it is there, and give up on one that is not."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _SILENT_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _APART_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _GONE_MILLISECONDS)


class Pool:
    """At most `size` connections, opened when they are needed.

    Who comes back hands the connection itself to the one who waits longest: putting it back first
    would let whoever comes by take it, and starve those who wait.
    """

    def __init__(self, connect: Callable[[], Awaitable[Raw]], size: int) -> None:
        self._connect = connect
        self._free_places = size
        self._size = size
        self._idle: list[Raw] = []  # the one used last is taken first
        self._waiting: deque[asyncio.Future[Raw | None]] = deque()
        self._is_closed = False
        self.commits = commit_times()
        self._emptied: asyncio.Future[None] | None = None

    def load(self) -> list[str]:
        """Return what is shown of the connections, and of who waits for one."""
        lent = self._size - self._free_places - len(self._idle)
        return [
            *gauge("palaver_database_connections_in_use", "Connections that are lent.", lent),
            *gauge("palaver_database_connections_max", "How many there may be.", self._size),
            *gauge("palaver_database_waiting", "Who waits for a connection.", len(self._waiting)),
        ]

    async def take(self) -> Raw:
        """Borrow a connection; raises what connecting raises, `Busy`, and `Closed`."""
        if self._is_closed:
            raise Closed("The database is closed.")
        while self._idle:
            if not (raw := self._idle.pop()).is_closed():
                return raw
            self._free_places += 1
        if self._free_places:
            self._free_places -= 1
            return await self._open()
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[Raw | None] = loop.create_future()
        self._waiting.append(turn)
        timer = loop.call_later(WAIT_SECONDS, _give_up, turn)
        try:
            given = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # given to the dead
                self._hand_on(turn.result())
            raise
        finally:
            timer.cancel()
        return given if given is not None else await self._open()

    def give(self, raw: Raw) -> None:
        """Give a connection back, outside of any transaction."""
        if raw.is_closed():
            self._hand_on(None)
        else:
            self._hand_on(raw)

    def drop(self, raw: Raw) -> None:
        """Close a connection whose state nobody knows."""
        raw.terminate()
        self._hand_on(None)

    async def close(self) -> None:
        """Wait for every connection that is lent, and close them all."""
        self._is_closed = True
        while self._waiting:
            if not (turn := self._waiting.popleft()).done():
                turn.set_exception(Closed("The database is closed."))
        while self._free_places + len(self._idle) < self._size:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied
        idle, self._idle, self._free_places = self._idle, [], self._size
        for raw in idle:
            try:
                await raw.close(timeout=_GOODBYE_SECONDS)
            except (asyncpg.PostgresError, asyncpg.InternalClientError, OSError):
                raw.terminate()

    async def _open(self) -> Raw:
        try:
            return await self._connect()
        except BaseException:
            self._hand_on(None)
            raise

    def _hand_on(self, raw: "Raw | None") -> None:
        """Give a connection, or the place of one, to whoever waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(raw)
                return
        if raw is None:
            self._free_places += 1
        else:
            self._idle.append(raw)
        if self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)


def _give_up(turn: "asyncio.Future[Raw | None]") -> None:
    if not turn.done():
        turn.set_exception(Busy())
