"""Palaver over real HTTP: a house, its server on a loopback port, and people who call it."""

import asyncio
import contextlib
import io
import json
import re
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import aiohttp
import uvicorn
from starlette.types import ASGIApp
from yarl import URL

from palaver.config import Settings
from palaver.domain.users import SYSTEM, Actor, Client, Role, User
from palaver.kit.clock import SECOND, Clock, system_clock
from palaver.main import House, opened
from palaver.services.identity import Identity
from palaver.web.call import CSRF_COOKIE, DEVICE_COOKIE, SESSION_COOKIE
from palaver.web.server import configuration
from tests.cast import PASSWORD, SECRET_KEY, a_registration, identity_over

HERE = Client(address="127.0.0.1", user_agent="tests")


class MovableClock:
    """Tells the time, and moves on by more than that when a test says so."""

    def __init__(self) -> None:
        self._moved = 0

    def __call__(self) -> int:
        return system_clock() + self._moved

    def move(self, *, seconds: float) -> None:
        """Let time pass."""
        self._moved += int(seconds * SECOND)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    set_cookies: tuple[str, ...]

    @property
    def json(self) -> Any:
        """Return the body, which says that it is JSON."""
        assert self.headers["content-type"] == "application/json", self
        return json.loads(self.content)


class Event(NamedTuple):
    """A server-sent event."""

    id: str | None
    name: str | None
    data: Any

    @property
    def number(self) -> int:
        """Return the id of an event whose stream numbers them."""
        assert self.id is not None
        return int(self.id)


class Events:
    """Reads the events of an answer that streams, one after the other."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        fields: dict[str, str] = {}
        while line := await self.response.content.readline():
            text = line.decode().rstrip("\n")
            if not text:
                return Event(fields.get("id"), fields.get("event"), json.loads(fields["data"]))
            name, _, value = text.partition(": ")
            assert name in {"id", "event", "data"}, text
            assert name not in fields, text
            fields[name] = value
        assert not fields, "the stream ended in the middle of an event"
        raise StopAsyncIteration

    async def all(self) -> list[Event]:
        """Return what comes until the end."""
        return [event async for event in self]

    async def until(self, name: str) -> list[Event]:
        """Return what comes up to the first event of this name."""
        events = []
        async for event in self:
            events.append(event)
            if event.name == name:
                return events
        raise AssertionError(f"the stream ended without {name}: {events}")


class Visitor:
    """Somebody with a browser: cookies are kept, and the CSRF token goes along with changes."""

    def __init__(self, base_url: str, *, user: User | None = None) -> None:
        self.base_url = base_url
        self._user = user
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    @property
    def user(self) -> User:
        """Return whose browser this is."""
        assert self._user is not None
        return self._user

    def keep(self, name: str, value: str) -> None:
        """Put a cookie into the jar."""
        self.session.cookie_jar.update_cookies({name: value}, URL(self.base_url))

    def cookie(self, name: str) -> str | None:
        """Return the value of a cookie in the jar."""
        cookies = self.session.cookie_jar.filter_cookies(URL(self.base_url))
        return cookies[name].value if name in cookies else None

    async def get(self, path: str, **more: Any) -> Answer:
        """Ask for something."""
        return await self.request("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        """Send a JSON body, none where it is None."""
        return await self.request("POST", path, body, **more)

    async def patch(self, path: str, body: Any = None, **more: Any) -> Answer:
        """Send a change."""
        return await self.request("PATCH", path, body, **more)

    async def delete(self, path: str, **more: Any) -> Answer:
        """Ask for something to be deleted."""
        return await self.request("DELETE", path, **more)

    async def request(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        """Call, and read the whole answer; `more` as in `open`."""
        async with self.open(method, path, body, **more) as response:
            content = await response.read()
            set_cookies = tuple(response.headers.getall("set-cookie", ()))
            return Answer(response.status, response.headers, content, set_cookies)

    @contextlib.asynccontextmanager
    async def events(self, path: str, body: Any = None, **more: Any) -> AsyncIterator[Events]:
        """Call what streams, and leave whenever the block ends."""
        async with self.open("POST", path, body, **more) as response:
            assert response.status == 200, await response.text()
            assert response.headers["content-type"].startswith("text/event-stream")
            yield Events(response)

    @contextlib.asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        csrf: bool = True,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Call; `content` is a body as it stands, `csrf` whether the token goes along."""
        sent = dict(headers or {})
        token = self.cookie(CSRF_COOKIE)
        if csrf and token is not None and method not in {"GET", "HEAD"}:
            sent.setdefault("X-CSRF-Token", token)
        if body is not None:
            content = json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        url = URL(self.base_url + path, encoded=True)
        async with self.session.request(
            method, url, data=content and io.BytesIO(content), headers=sent, allow_redirects=False
        ) as response:
            yield response


class Palaver:
    """A house that is served, and the people who come to it."""

    def __init__(self, house: House, base_url: str, clock: Clock) -> None:
        self.house = house
        self.services = house.services
        self.base_url = base_url
        # Hashes at the least cost; the secret key is the house's own, so its cookies count there.
        self._people: Identity = identity_over(house.db, clock=clock)
        self._visitors = contextlib.AsyncExitStack()

    def visitor(self, *, user: User | None = None) -> Visitor:
        """Return somebody whom nobody knows yet."""
        visitor = Visitor(self.base_url, user=user)
        self._visitors.push_async_callback(visitor.session.close)
        return visitor

    async def person(
        self, username: str, *, role: Role = Role.USER, password: str = PASSWORD
    ) -> Visitor:
        """Return somebody new who has an account, and has signed in."""
        registration = a_registration(username, password=password)
        user = await self._people.registrations.create(SYSTEM, registration, role=role)
        return await self.signed_in(user, password=password)

    async def signed_in(self, user: User, *, password: str = PASSWORD) -> Visitor:
        """Return another browser of somebody, which has signed in."""
        sign_in = await self._people.sessions.sign_in(
            Actor.anonymous(HERE), username=user.username, password=password
        )
        visitor = self.visitor(user=sign_in.user)
        visitor.keep(SESSION_COOKIE, sign_in.cookie)
        visitor.keep(CSRF_COOKIE, sign_in.csrf_token)
        visitor.keep(DEVICE_COOKIE, sign_in.device)
        return visitor

    async def close(self) -> None:
        """Send everybody home."""
        await self._visitors.aclose()
        self._people.passwords.close()


@contextlib.asynccontextmanager
async def running(settings: Settings, *, clock: Clock = system_clock) -> AsyncIterator[Palaver]:
    """Open a house and serve it; its settings must have `tests.cast.SECRET_KEY`."""
    assert settings.secret_key == SECRET_KEY
    async with (
        opened(settings, clock=clock) as house,
        served(house.app, trusted_proxies=settings.trusted_proxies) as base_url,
    ):
        palaver = Palaver(house, base_url, clock)
        try:
            yield palaver
        finally:
            await palaver.close()


@contextlib.asynccontextmanager
async def served(
    app: ASGIApp, *, trusted_proxies: tuple[str, ...] = ("127.0.0.1",)
) -> AsyncIterator[str]:
    """Serve an application on a loopback port, as `palaver serve` does; gives its address."""
    config = configuration(app, trusted_proxies=trusted_proxies)
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    # asyncio switches Nagle's algorithm off only where it is told that this is TCP.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        await server.startup(sockets=[listener])
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            await _stop(server, listener)


async def _stop(server: uvicorn.Server, listener: socket.socket) -> None:
    # Its own shutdown sleeps for 0.1 s at least: it is for those who stay.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            while server.server_state.connections:  # noqa: ASYNC110  # it has no event
                await asyncio.sleep(0.001)
    if server.server_state.connections:
        await server.shutdown(sockets=[listener])
    for each in server.servers:
        each.close()
        await each.wait_closed()


def session_of(answer: Answer) -> str:
    """Return the session cookie that an answer sets."""
    found = [re.match(rf"{SESSION_COOKIE}=([^;]+);", cookie) for cookie in answer.set_cookies]
    return next(match[1] for match in found if match)


async def settled(condition: Any, *, within_seconds: float = 10) -> None:
    """Wait until an async condition holds: for what happens after the answer has been sent."""
    async with asyncio.timeout(within_seconds):
        while not await condition():  # noqa: ASYNC110  # what others see has no event
            await asyncio.sleep(0.005)
