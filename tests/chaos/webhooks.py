"""Webhooks under SIGKILL: whatever is killed whenever, each event is told, or listed as failed.

Twenty endpoints, of which five fail, each in its own way, and two never answer. Things happen at a
steady pace through HTTP, the server is killed again and again, and in the end its clock is moved on
until nothing waits any more. Then what the receiver has is compared with what was acknowledged.
"""

import asyncio
import contextlib
import json
import random
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
from aiohttp import web

from tests.chaos.processes import House, a_postgresql, free_port

ENDPOINTS: Final = 20
FAILING: Final = ("500", "404", "301", "503", "reset")
HANGING: Final = ("hang-1", "hang-2")
HEALTHY: Final = tuple(f"well-{number}" for number in range(ENDPOINTS - 7))
AFTER_A_KILL_SECONDS: Final = 5.0
PASSWORD: Final = "a password of nobody"


@dataclass(frozen=True)
class WebhookPlan:
    """What is played; as many events as make so many deliveries."""

    engine: str = "sqlite"
    deliveries: int = 100_000
    a_second: int = 200
    kills: int = 50
    patience_seconds: float = 15.0
    step_hours: int = 6  # by which the clock is moved on in the end
    calm_seconds: float = 20.0  # without anything new, after which nothing more is waited for
    seed: int = 0
    fault: str = ""  # put in on purpose: see `webhook_house.py`

    @property
    def events(self) -> int:
        return self.deliveries // ENDPOINTS


@dataclass
class WebhookOutcome:
    """What came of it."""

    plan: WebhookPlan
    acknowledged: int = 0
    kills: int = 0
    requests: int = 0
    delivered: int = 0
    failed: int = 0
    repeats: int = 0
    delays: list[float] = field(default_factory=list)  # of healthy endpoints, seconds
    violations: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def p95_seconds(self) -> float:
        """Return how long all but a twentieth of the healthy deliveries took at most."""
        return statistics.quantiles(self.delays, n=20)[-1] if len(self.delays) > 1 else 0.0

    def lines(self) -> list[str]:
        """Return it for people."""
        median = statistics.median(self.delays) if self.delays else 0.0
        return [
            f"webhooks on {self.plan.engine}: {self.acknowledged} events to {ENDPOINTS} endpoints, "
            f"{self.kills} kills, {self.seconds:.0f} s",
            f"  {self.requests} requests came, {self.delivered} deliveries were taken, "
            f"{self.failed} are listed as failed, {self.repeats} were taken twice",
            f"  healthy endpoints: median {median * 1000:.0f} ms, p95 "
            f"{self.p95_seconds * 1000:.0f} ms, of {len(self.delays)} outside the "
            f"{AFTER_A_KILL_SECONDS:.0f} s after a kill",
            *(f"  VIOLATED {count} times: {name}" for name, count in self.violations.items()),
        ]


class Endpoints:
    """The receiver of all twenty."""

    def __init__(self) -> None:
        self.taken: dict[tuple[str, str], float] = {}  # (endpoint, thing) → when it was first taken
        self.ids: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.times: Counter[tuple[str, str]] = Counter()
        self.order: dict[str, list[str]] = defaultdict(list)
        self.requests = 0
        self.port = 0
        self._closing = asyncio.Event()
        self._runner: web.ServerRunner | None = None

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(
            web.Server(self._serve, access_log=None), shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._runner is not None
        self._closing.set()
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        name = request.path.lstrip("/")
        body = await request.read()
        thing = json.loads(body)["data"]["id"]
        self.requests += 1
        self.ids[name, thing].add(request.headers["webhook-id"])
        self.times[name, thing] += 1
        if name in HANGING:
            await self._closing.wait()
        elif name == "reset" and request.transport is not None:
            request.transport.abort()
        elif name.isdigit():
            return web.Response(
                status=int(name), headers={"Location": "/well-0", "Retry-After": "1"}
            )
        else:
            if (name, thing) not in self.taken:
                self.order[name].append(thing)
            self.taken.setdefault((name, thing), time.monotonic())
        return web.Response()


class Play:
    """One play."""

    def __init__(self, plan: WebhookPlan, folder: Path, url: str | None) -> None:
        self.plan = plan
        self.random = random.Random(plan.seed)
        self.clock = folder / "clock"
        self.clock.write_text("0")
        self.endpoints = Endpoints()
        self.outcome = WebhookOutcome(plan)
        self.acknowledged: dict[str, float] = {}  # a thing's id → when we were told
        self.killed: list[float] = []
        self.webhooks: dict[str, str] = {}  # endpoint → id
        self.house = House(
            folder / "house",
            provider_port=free_port(),
            database_url=url,
            module="tests.chaos.webhook_house",
            more={
                "CHAOS_CLOCK": str(self.clock),
                "CHAOS_PATIENCE": str(plan.patience_seconds),
                "CHAOS_FAULT": plan.fault,
                "PALAVER_OUTBOUND_ALLOW_NETWORKS": "127.0.0.0/8",
                "PALAVER_RATE_LIMIT_PER_MINUTE": "0",
                "PALAVER_RATE_LIMIT_PER_HOUR": "0",
            },
        )
        self.token = ""

    async def run(self) -> WebhookOutcome:
        """Play it to the end."""
        started = time.monotonic()
        async with self.endpoints, aiohttp.ClientSession() as self.session:
            await self.house.open()
            try:
                await self._subscribe()
                await self._load()
                await self._let_time_pass()
                await self._compare()
            finally:
                await self.house.kill()
        self.outcome.seconds = time.monotonic() - started
        return self.outcome

    async def _call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Return the answer of a call, once there is one."""
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with self.session.request(
                    method,
                    f"http://127.0.0.1:{self.house.port}/api/v1{path}",
                    json=body,
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(10),
                ) as response:
                    if response.status == 200:
                        return await response.json()
                    if response.status not in {409, 500, 503}:
                        raise AssertionError(f"{path}: {response.status} {await response.text()}")
                    if response.status == 500:
                        self.outcome.violations["no answer is a 500"] += 1
            await asyncio.sleep(0.05)

    async def _sign_in(self) -> None:
        self.token = ""
        body = {"username": "listener", "password": PASSWORD}
        self.token = (await self._call("POST", "/auth/login", body))["access_token"]

    async def _subscribe(self) -> None:
        body = {"username": "listener", "password": PASSWORD, "email": "l@example.org"}
        await self._call("POST", "/auth/register", body)
        await self._sign_in()
        for name in (*FAILING, *HANGING, *HEALTHY):
            body = {"url": self.endpoints.url(name), "events": ["memory.created"]}
            self.webhooks[name] = (await self._call("POST", "/webhooks", body))["id"]

    async def _load(self) -> None:
        """Let things happen at the pace of the plan, while the server is killed."""
        pause = ENDPOINTS / self.plan.a_second
        killer = asyncio.get_running_loop().create_task(
            self._kill(within_seconds=self.plan.events * pause), name="killer"
        )
        async with asyncio.TaskGroup() as group:
            begun = time.monotonic()
            for number in range(self.plan.events):
                group.create_task(self._happen(number))
                await asyncio.sleep(max(0.0, begun + (number + 1) * pause - time.monotonic()))
        await killer

    async def _happen(self, number: int) -> None:
        body = {"content": f"Fact {number}"}
        key = {"Idempotency-Key": f"fact-{number}"}
        made = await self._call("POST", "/memories", body, **key)
        self.acknowledged[made["id"]] = time.monotonic()

    async def _kill(self, *, within_seconds: float) -> None:
        begun = time.monotonic()
        for number in range(self.plan.kills):
            turn = (number + self.random.random()) / self.plan.kills * within_seconds
            await asyncio.sleep(max(0.0, begun + turn - time.monotonic()))
            await self.house.kill()
            self.killed.append(time.monotonic())
            self.outcome.kills += 1
            await self.house.open()

    async def _let_time_pass(self) -> None:
        """Wait until the healthy have everything, then move the clock until nothing waits."""
        await self._calm()
        ahead = 0
        while await self._waiting():
            ahead += self.plan.step_hours * 3600
            # As a whole or not at all: it is read all the time.
            draft = self.clock.with_suffix(".new")
            draft.write_text(str(ahead))
            draft.replace(self.clock)
            await asyncio.sleep(max(0.5, self.plan.patience_seconds / 5))
            await self._sign_in()
            if ahead > 60 * 24 * 3600:
                self.outcome.violations["what fails for days is given up"] += 1
                return

    async def _calm(self) -> None:
        """Wait until the healthy have everything, or nothing new has come to them for a while."""
        taken, since = -1, time.monotonic()
        wanted = len(HEALTHY) * len(self.acknowledged)
        while taken < wanted and time.monotonic() - since < self.plan.calm_seconds:
            if len(self.endpoints.taken) > taken:
                taken, since = len(self.endpoints.taken), time.monotonic()
            await asyncio.sleep(0.2)

    async def _waiting(self) -> bool:
        """Tell whether anything still waits for an endpoint that fails."""
        for name in (*FAILING, *HANGING):
            path = f"/webhooks/{self.webhooks[name]}/deliveries?limit=1&offset="
            for offset in (0, max(0, len(self.acknowledged) - 1)):
                found = await self._call("GET", f"{path}{offset}")
                if any(each["state"] == "pending" for each in found):
                    return True
        return False

    async def _compare(self) -> None:
        outcome, endpoints = self.outcome, self.endpoints
        outcome.acknowledged = len(self.acknowledged)
        outcome.requests = endpoints.requests
        outcome.delivered = len(endpoints.taken)
        for name in self.webhooks:
            states = await self._states(name)
            failed = {thing for thing, state in states.items() if state == "failed"}
            outcome.failed += len(failed)
            for thing in self.acknowledged:
                is_taken = (name, thing) in endpoints.taken
                if not is_taken and thing not in failed:
                    outcome.violations["each is delivered, or listed as failed"] += 1
                if states.get(thing) == "delivered" and not is_taken:
                    outcome.violations["what is listed as delivered was taken"] += 1
                if name in HEALTHY and states.get(thing) != "delivered":
                    outcome.violations["healthy endpoints have everything"] += 1
        outcome.repeats = sum(
            name in HEALTHY and count > 1 for (name, _), count in endpoints.times.items()
        )
        outcome.violations["repeats have the same id"] += sum(
            len(ids) > 1 for ids in endpoints.ids.values()
        )
        outcome.violations += Counter()  # without those that did not happen
        for (name, thing), at in endpoints.taken.items():
            since_kill = min((at - kill for kill in self.killed if kill <= at), default=1e9)
            if name in HEALTHY and thing in self.acknowledged and since_kill > AFTER_A_KILL_SECONDS:
                outcome.delays.append(max(0.0, at - self.acknowledged[thing]))
        if outcome.p95_seconds > 1.0:
            outcome.violations["healthy endpoints are told within a second"] += 1

    async def _states(self, name: str) -> dict[str, str]:
        states: dict[str, str] = {}
        path = f"/webhooks/{self.webhooks[name]}/deliveries?limit=100"
        while page := await self._call("GET", f"{path}&offset={len(states)}"):
            states |= {each["payload"]["data"]["id"]: each["state"] for each in page}
        return states


async def play_webhooks(
    plan: WebhookPlan, *, say: Callable[[str], None] = lambda _: None
) -> WebhookOutcome:
    """Play on a database of its own."""
    say(f"webhooks on {plan.engine}: {plan.deliveries} deliveries, {plan.kills} kills")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="palaver-webhooks-")))
        url = stack.enter_context(a_postgresql()) if plan.engine == "postgresql" else None
        return await Play(plan, folder, url).run()
