"""Races for the room that a limit leaves, with a SIGKILL in the middle of each.

A round is somebody new, on a plan with one limit for ten worst cases, who asks two hundred times at
once, through all contracts. The server dies at some moment of it, and the next one takes over.
"""

import asyncio
import contextlib
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

from palaver.domain.limits import LIMITS, Limit
from palaver.web.call import CSRF_COOKIE, SESSION_COOKIE
from tests.across.asking import PROMPT_TOKENS, TEXT, WAYS, Asking, Way, allowance_of, is_refused
from tests.chaos.allowance import subscription
from tests.chaos.books import judge_books
from tests.chaos.checks import Verdict
from tests.chaos.evidence import Evidence, Witness
from tests.chaos.load import GONE, PROVIDER
from tests.chaos.processes import House
from tests.chaos.stage import a_stage
from tests.http import Answer, Visitor

ALLOWED: Final = 10
ANSWER_TOKENS: Final = 200
PHANTOM_SECONDS: Final = 60
COOKIES: Final = (SESSION_COOKIE, CSRF_COOKIE)
CONTRACTS: Final = {way.contract for way in WAYS}


def _is_free(limit: Limit) -> bool:
    return limit.measure.startswith("free")


RACED: Final = sorted(
    (limit for limit in LIMITS if limit.measure != "images"),
    key=_is_free,
)
"""Those of free models last: the model is made one on the way."""


@dataclass
class RacePlan:
    """What to do."""

    engine: str = "sqlite"
    rounds: int = 100
    requests: int = 200
    processes: int = 1
    model: str = "enduring"  # which speaks for longer than a round takes
    limits: Sequence[Limit] = tuple(RACED)
    kills_amid: bool = True  # else when everybody has been told
    has_end: bool = True  # wait until nothing is held, and use what is left
    seed: int = 0
    control: str | None = None


@dataclass
class Racer:
    """Somebody with one limit."""

    name: str
    limit: Limit
    id: int = 0
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def most(self) -> int:
        """Return what the plan allows."""
        return allowance_of(self.limit, answer_tokens=ANSWER_TOKENS, count=ALLOWED)


@dataclass
class Told:
    """What became of one request, as far as its sender knows."""

    way: Way
    status: int | None = None
    answer: Answer | None = None  # once it is there as a whole

    @property
    def is_accepted(self) -> bool:
        """Tell whether the sender was told that it goes on."""
        return self.status == self.way.status

    def fault(self, limit: Limit) -> str:
        """Return what is wrong with an answer that should be a refusal, "" where nothing is."""
        assert self.answer is not None
        try:
            is_refused(self.way, self.answer, limit)
        except (AssertionError, LookupError, ValueError) as error:
            return f"{self.way}: {error!r} {self.answer.status} {self.answer.content[:200]!r}"
        return ""


@dataclass
class RaceOutcome:
    """What came of it."""

    plan: RacePlan
    verdict: Verdict
    statuses: Counter[str]
    accepted: list[int]  # by round, as the database counts them at the kill
    dust_seconds: float | None
    seconds: float
    server_errors: str

    def lines(self) -> list[str]:
        """Return the report."""
        plan = self.plan
        told = ", ".join(f"{count:,} of {status}" for status, count in self.statuses.most_common())
        spread = ", ".join(
            f"{accepted} in {count} rounds"
            for accepted, count in sorted(Counter(self.accepted).items())
        )
        dust = "not waited for" if self.dust_seconds is None else f"{self.dust_seconds:.1f} s"
        return [
            f"{plan.engine}: {plan.rounds} SIGKILL, each amid {plan.requests} requests for room for "
            f"{ALLOWED}, by {len(WAYS)} ways of asking; {self.seconds:.0f} s",
            f"answers: {told}",
            f"accepted when the kill came: {spread}",
            f"from the last start until nothing was held any more: {dust}",
            *self.verdict.table(),
            *self.verdict.complaints(),
            *([f"the server's errors:\n{self.server_errors}"] if self.server_errors else []),
        ]


async def race(plan: RacePlan, *, say: Callable[[str], None] = lambda _: None) -> RaceOutcome:
    """Race to the end."""
    settings = {
        "PALAVER_DEFAULT_MODEL": f"{PROVIDER}/{plan.model}",
        "PALAVER_MAX_ANSWER_TOKENS": str(ANSWER_TOKENS),
        "PALAVER_RATE_LIMIT_PER_MINUTE": "0",
        "PALAVER_RATE_LIMIT_PER_HOUR": "0",
    }
    with tempfile.TemporaryDirectory(prefix="palaver-chaos-") as folder:
        stage = a_stage(
            Path(folder),
            engine=plan.engine,
            processes=plan.processes,
            control=plan.control,
            settings=settings,
        )
        async with stage as (houses, witness):
            return await Race(plan, houses, witness, say).run()


class Race:
    """One row of races."""

    def __init__(
        self, plan: RacePlan, houses: list[House], witness: Witness, say: Callable[[str], None]
    ) -> None:
        self.plan = plan
        self.model = f"{PROVIDER}/{plan.model}"
        self.houses = houses
        self.witness = witness
        self.say = say
        self.rng = random.Random(plan.seed)
        self.verdict = Verdict()
        self.statuses: Counter[str] = Counter()
        self.accepted: list[int] = []
        self.racers: list[Racer] = []

    async def run(self) -> RaceOutcome:
        """Race again and again, let the dust settle, and see that the rest is free."""
        began = time.monotonic()
        await self._learn_models()
        for number in range(self.plan.rounds):
            await self._round(number)
            if number % 10 == 9:
                self.say(
                    f"… {self.plan.engine}: {number + 1} kills, {self.verdict.total} violations"
                )
        dust = None
        if self.plan.has_end:
            dust = await self._dust()
            await self._use_the_rest()
        errors = "\n".join(tail for house in self.houses if "[error" in (tail := house.tail()))
        seconds = time.monotonic() - began
        return RaceOutcome(
            self.plan, self.verdict, self.statuses, self.accepted, dust, seconds, errors
        )

    # Before a race

    async def _learn_models(self) -> None:
        """Let the houses find their models; whoever starts next knows the first price."""
        await self._open(self.houses)
        async with AsyncExitStack() as stack:
            visitor = self._visitor(stack, self.houses[0])
            await visitor.post("/auth/register", _account("somebody"))
            async with asyncio.timeout(10):
                while not any(each["models"] for each in (await visitor.get("/providers")).json):  # noqa: ASYNC110  # what others see has no event
                    await asyncio.sleep(0.1)
        await self._kill(self.houses)
        await self._set_price(self.plan.limits[0])
        await self._open(self.houses)

    async def _set_price(self, limit: Limit) -> None:
        """Let a token cost a micro-dollar, or count as free."""
        await self.witness.execute(
            f"""update models set is_free = {_is_free(limit):d}, prompt_price = 1000000,
            completion_price = 1000000 where name = '{self.model}'"""
        )

    async def _open(self, houses: Sequence[House]) -> None:
        await asyncio.gather(*(house.open() for house in houses))

    async def _kill(self, houses: Sequence[House]) -> None:
        await asyncio.gather(*(house.kill() for house in houses))

    def _visitor(self, stack: AsyncExitStack, house: House, racer: Racer | None = None) -> Visitor:
        visitor = Visitor(f"http://127.0.0.1:{house.port}")
        stack.push_async_callback(visitor.session.close)
        for name, value in racer.cookies.items() if racer else ():
            visitor.keep(name, value)
        return visitor

    async def _register(self, racer: Racer) -> None:
        async with AsyncExitStack() as stack:
            visitor = self._visitor(stack, self.rng.choice(self.houses))
            answer = await visitor.post("/auth/register", _account(racer.name))
            assert answer.status == 200, answer
            racer.id = answer.json["user"]["id"]
            racer.cookies = {name: visitor.cookie(name) or "" for name in COOKIES}
        await self.witness.execute(subscription(racer.name, {racer.limit.attribute: racer.most}))

    # A race

    async def _round(self, number: int) -> None:
        limits = self.plan.limits
        racer = Racer(f"racer{number}", limits[number % len(limits)])
        self.racers.append(racer)
        await self._register(racer)
        following = limits[(number + 1) % len(limits)]
        victims = self.houses
        # Where the price changes all have to start anew: who lives on knows the old one for a while.
        if _is_free(following) == _is_free(racer.limit) and self.rng.random() < 0.5:
            victims = [self.rng.choice(self.houses)]
        decisions = asyncio.Semaphore(0)

        async def kill() -> None:
            if self.plan.kills_amid:
                await self._some_moment(decisions)
            else:
                await _silence(decisions)
            await self._kill(victims)
            if len(victims) < len(self.houses):
                await _silence(decisions)

        told = await self._ask(racer, self.plan.requests, decisions, until=kill)
        seen = await self._look()
        self._judge_told(racer, told, seen)
        self.accepted.append(seen.books.accepted(racer.id))
        await self._set_price(following)
        await self._open(victims)

    async def _some_moment(self, decisions: asyncio.Semaphore) -> None:
        """Wait until some have been told; in half of the rounds while there is room for others."""
        most = self.rng.choice([ALLOWED, self.plan.requests])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.rng.random() * most / 50):
                for _ in range(self.rng.randrange(most)):
                    await decisions.acquire()

    async def _ask(
        self,
        racer: Racer,
        count: int,
        decisions: asyncio.Semaphore,
        *,
        until: Callable[[], Awaitable[None]],
    ) -> list[Told]:
        """Ask so many times at once, leave when `until` returns; tell what was told by then."""
        async with AsyncExitStack() as stack:
            browsers = [
                {name: self._visitor(stack, house, racer) for name in CONTRACTS}
                for house in self.houses
            ]
            told = [Told(way) for way in islice(cycle(WAYS), count)]
            self.rng.shuffle(told)
            at = [browser[each.way.contract] for each, browser in zip(told, cycle(browsers))]
            prepared = await asyncio.gather(
                *(
                    each.way.prepare(visitor, self.model, TEXT)
                    for each, visitor in zip(told, at, strict=True)
                )
            )
            calls = [
                asyncio.ensure_future(_call(*call, decisions))
                for call in zip(at, prepared, told, strict=True)
            ]
            try:
                await until()
            finally:
                for each in calls:
                    each.cancel()
                outcomes = await asyncio.gather(*calls, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):  # nobody's leaving, which is none
                raise outcome
        return told

    # After it

    async def _look(self) -> Evidence:
        """See what the database holds, and hold all sums against it. Nobody is writing."""
        seen = await self.witness.see()
        check = self.verdict.check
        check("database passes its own check", holds=not seen.faults, otherwise=str(seen.faults))
        judge_books(seen.books, seen.live, check)
        return seen

    def _judge_told(self, racer: Racer, told: Sequence[Told], seen: Evidence) -> None:
        check = self.verdict.check
        where = f"{racer.name} ({racer.limit.attribute})"
        accepted = seen.books.accepted(racer.id)
        check(
            f"no more than {ALLOWED} are accepted",
            holds=accepted <= ALLOWED,
            otherwise=f"{where}: {accepted}",
        )
        go_on = sum(each.is_accepted for each in told)
        check(
            "who was told that it goes on is in the books",
            holds=go_on <= accepted,
            otherwise=f"{where}: {go_on} were told, the books have {accepted}",
        )
        for each in told:
            self.statuses[str(each.status or "none")] += 1
            if each.answer is not None and not each.is_accepted:
                fault = each.fault(racer.limit)
                check("a refusal is worded as its contract does", holds=not fault, otherwise=fault)

    async def _dust(self) -> float:
        """Wait until nothing is held; return how long that took since the last start."""
        began = time.monotonic()
        while True:
            await asyncio.sleep(0.5)
            seconds = time.monotonic() - began
            held = await self.witness.held()
            if not held or seconds > PHANTOM_SECONDS:
                self.verdict.check(
                    f"nothing is held {PHANTOM_SECONDS} s after the last kill",
                    holds=not held,
                    otherwise=str(held),
                )
                return seconds

    async def _use_the_rest(self) -> None:
        """What was held and not used is free: who is refused now has really no room."""
        last = self.racers[-len(self.plan.limits) :]
        decisions = asyncio.Semaphore(0)
        paid = [racer for racer in last if not _is_free(racer.limit)]
        await self._kill(self.houses)
        await self._set_price(paid[0].limit)
        await self._open(self.houses)
        everybody = asyncio.Barrier(len(paid))

        async def kill_afterwards() -> None:
            if await everybody.wait() == 0:
                await _silence(decisions)
                await self._kill(self.houses)
            await everybody.wait()

        asked = await asyncio.gather(
            *(self._ask(racer, ALLOWED + 2, decisions, until=kill_afterwards) for racer in paid)
        )
        seen = await self._look()
        for racer, told in zip(paid, asked, strict=True):
            self._judge_rest(racer, told, seen)

    def _judge_rest(self, racer: Racer, told: Sequence[Told], seen: Evidence) -> None:
        ((limit, most, used),) = seen.books.windows(racer.id, has_attempts=True)
        is_counted = "messages" in racer.limit.measure
        self.verdict.check(
            "who asks on is refused in the end, and only where there is no room",
            holds=any(each.status == 429 for each in told)
            and most - used <= (0 if is_counted else PROMPT_TOKENS),
            otherwise=f"{racer.name}: of {limit} {used} of {most} are used",
        )


async def _call(visitor: Visitor, asking: Asking, told: Told, decisions: asyncio.Semaphore) -> None:
    """Ask, and note what comes, as long as it comes."""
    with contextlib.suppress(*GONE):
        async with visitor.open("POST", *asking) as response:
            told.status = response.status
            decisions.release()
            content = await response.read()
            told.answer = Answer(response.status, response.headers, content, ())


async def _silence(decisions: asyncio.Semaphore, *, seconds: float = 1.5) -> None:
    """Wait until nobody has been told anything for a while."""
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(seconds):
                await decisions.acquire()


def _account(name: str) -> dict[str, Any]:
    return {"username": name, "password": f"{name} opens the door"}
