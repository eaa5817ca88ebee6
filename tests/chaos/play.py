"""The chaos itself: people at work, a server that is killed again and again, and a judge."""

import asyncio
import random
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Final

import aiohttp

from tests.chaos.allowance import ALLOWANCES, PRICES, SETTINGS, Administrator
from tests.chaos.checks import Judge, Verdict, listed, replayed_text
from tests.chaos.evidence import Evidence, Witness
from tests.chaos.load import GONE, PROVIDER, Person
from tests.chaos.processes import House
from tests.chaos.record import Reading, Record
from tests.chaos.stage import a_stage
from tests.chaos.street import Street

# After a restart, until every run has an owner or an end. On PostgreSQL a run is an orphan once its
# worker's lease, 2 s, has run out: 20 s from the kill.
ORPHAN_SECONDS: Final = {"sqlite": 1.0, "postgresql": 18.0}
REPLAYS_MAX: Final = 300
CONTINUING: Final = """update models set profile = '{"continues":true}'
    where name = 'lmstudio/continuing'"""


@dataclass
class Plan:
    """What to do."""

    engine: str = "sqlite"
    kills: int = 200
    terms: int = 5
    people: int = 24
    processes: int = 1
    pause_seconds: float = 0.8  # between a start and the next kill, on average
    # How long who got no answer repeats a request with a key: each attempt that is killed blocks it for
    # a minute.
    insists_seconds: float = 240
    end_seconds: float = 60  # after the last kill, until every run has ended
    seed: int = 0
    control: str | None = None


@dataclass
class Outcome:
    """What came of it."""

    plan: Plan
    verdict: Verdict
    record: Record
    last: Evidence
    seconds: float
    starts: list[float]
    orphans: list[float]
    server_errors: str = ""

    def lines(self) -> list[str]:
        """Return the report."""
        states = Counter(row.state for row in self.last.generations.values())
        again = sum(row.attempt > 1 for row in self.last.generations.values())
        frames = sum(len(reading.frames) for reading in self.record.readings)
        acknowledged = ", ".join(
            f"{count:,} {name}" for name, count in self.record.acknowledged.items()
        )
        refused = _counted(self.record.refused) or "nothing"
        return [
            f"{self.plan.engine}: {self.plan.kills} SIGKILL, {self.plan.terms} SIGTERM, "
            f"{self.plan.people} people, {self.seconds:.0f} s",
            f"acknowledged: {acknowledged}; refused by a limit: {refused}",
            f"runs: {sum(states.values()):,} ({_counted(states)}), {again} of them taken over; "
            f"{len(self.record.readings):,} connections saw {frames:,} frames",
            f"kill to first answer: {_times(self.starts)}; "
            f"runs without an owner after that: {_times(self.orphans)}",
            *self.verdict.table(),
            *self.verdict.complaints(),
            *([f"the server's errors:\n{self.server_errors}"] if self.server_errors else []),
        ]


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counter.most_common())


def _times(seconds: list[float]) -> str:
    if not seconds:
        return "none"
    return f"median {statistics.median(seconds):.2f} s, most {max(seconds):.2f} s ({len(seconds)})"


async def play(plan: Plan, *, say: Callable[[str], None] = lambda _: None) -> Outcome:
    """Play it to the end."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="palaver-chaos-")))
        houses, witness = await stack.enter_async_context(
            a_stage(
                folder,
                engine=plan.engine,
                processes=plan.processes,
                control=plan.control,
                settings=SETTINGS,
            )
        )
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=30)
            )
        )
        return await Play(plan, houses, witness, session, say).run()


@dataclass
class Orphans:
    """Runs that nobody drives, and since when."""

    since: dict[tuple[int, int], float] = field(default_factory=dict)
    lasted: list[float] = field(default_factory=list)

    def see(self, found: list[tuple[int, int | None, int]], now: float) -> None:
        """Take note of what nobody drives now."""
        keys = {(id, attempt) for id, _, attempt in found}
        for key in self.since.keys() - keys:
            self.lasted.append(now - self.since.pop(key))
        for key in keys:
            self.since.setdefault(key, now)


class Play:
    """One play."""

    def __init__(
        self,
        plan: Plan,
        houses: list[House],
        witness: Witness,
        session: aiohttp.ClientSession,
        say: Callable[[str], None],
    ) -> None:
        self.plan = plan
        self.houses = houses
        self.witness = witness
        self.say = say
        self.rng = random.Random(plan.seed)
        self.record = Record()
        self.judge = Judge(self.record)
        self.street = Street(houses, self.record, self.rng, insists_seconds=plan.insists_seconds)
        self.people = [Person(f"person{n}", self.street, session) for n in range(plan.people)]
        self.admin = Administrator("admin", self.street, session)
        self.orphans = Orphans()
        self.starts: list[float] = []
        self.is_draining = False

    async def run(self) -> Outcome:
        """Set up, kill, end in peace, judge everything."""
        began = time.monotonic()
        for house in self.houses:
            await house.open()
        self.street.open()
        await self._settle_in()
        everybody = [self.admin, *self.people]
        lives = [asyncio.ensure_future(person.live()) for person in everybody]
        watch = asyncio.ensure_future(self._watch())
        try:
            for number in range(self.plan.kills):
                await self._pause()
                await self._kill(lives)
                if number % 20 == 19:
                    self._tell(number + 1)
            for _ in range(self.plan.terms):
                await self._pause()
                await self._terminate()
            last = await self._end(lives)
        finally:
            for task in (watch, *lives):
                task.cancel()
            await asyncio.gather(watch, *lives, return_exceptions=True)
        errors = "\n".join(house.tail() for house in self.houses if "[error" in house.tail())
        return Outcome(
            self.plan,
            self.judge.verdict,
            self.record,
            last,
            time.monotonic() - began,
            self.starts,
            self.orphans.lasted,
            errors,
        )

    def _tell(self, kills: int) -> None:
        verdict = self.judge.verdict
        self.say(f"… {self.plan.engine}: {kills} kills, {verdict.total} violations")
        for name, sentences in verdict.violations.items():
            self.say(f"    {name}: {sentences[-1]}")

    async def _settle_in(self) -> None:
        for person in self.people:
            await person.register()
        async with asyncio.timeout(10):
            while not await self._lists_models():  # noqa: ASYNC110  # what others see has no event
                await asyncio.sleep(0.1)
        await self.witness.execute(f"{CONTINUING}; {PRICES}")
        await self.admin.bootstrap()
        for person, limits in zip(self.people, cycle(ALLOWANCES)):
            if limits:
                await self.admin.put_on_plan(person, limits)

    async def _lists_models(self) -> bool:
        providers = await self.people[0]._try("look", "GET", "/providers", None)
        return any(each["models"] for each in providers if each["provider_id"] == PROVIDER)

    async def _pause(self) -> None:
        await asyncio.sleep(self.rng.random() * 2 * self.plan.pause_seconds)

    # Killing

    async def _kill(self, lives: list["asyncio.Future[None]"]) -> None:
        victims = self.houses
        if len(self.houses) > 1 and self.rng.random() < 0.6:
            victims = [self.rng.choice(self.houses)]
        began = time.monotonic()
        for house in victims:
            await house.kill()
        if victims is self.houses:
            await self.street.close()
            await self._look()
        await asyncio.gather(*(house.open() for house in victims))
        self.starts.append(time.monotonic() - began)
        self.street.open()
        for life in lives:
            if life.done():
                life.result()

    async def _look(self) -> None:
        """Take the state at this moment, and compare while the next server starts."""
        self.orphans.since.clear()
        seen = await self.witness.see()
        self.judge.judge(seen)

    async def _terminate(self) -> None:
        """Stop it as an operator does: what streams ends cleanly, sooner or later."""
        house = self.rng.choice(self.houses)
        self.is_draining = True  # what is started now waits, without an owner, for who comes next
        reading = [reading for reading in self.record.readings if not reading.is_over]
        async with asyncio.timeout(30):
            await house.terminate()
        if len(self.houses) == 1:
            await self.street.close()
            for each in reading:
                self.judge.verdict.check(
                    "stream ends cleanly when the server is told to stop",
                    holds=each.ended_cleanly or each.was_left,
                    otherwise=f"{each.generation} at {each.at}",
                )
            await self._look()
        await house.open()
        self.is_draining = False
        self.street.open()

    # Watching

    async def _watch(self) -> None:
        """Look for runs that nobody drives, all the time."""
        limit = ORPHAN_SECONDS[self.plan.engine]
        reported: set[tuple[int, int]] = set()
        while True:
            await asyncio.sleep(0.05 if self.plan.engine == "sqlite" else 0.2)
            if self.is_draining or not self.street.is_open:
                continue
            now = time.monotonic()
            self.orphans.see(await self.witness.orphans(), now)
            for key, since in self.orphans.since.items():
                if now - since > limit and key not in reported:
                    reported.add(key)
                    self.judge.verdict.violations["no run without an owner"].append(f"{key}")
            self.judge.verdict.compared["no run without an owner"] = len(self.orphans.lasted)

    # The end

    async def _end(self, lives: list["asyncio.Future[None]"]) -> Evidence:
        """Let everybody finish, replay everything, and judge it all once more."""
        self.street.is_ending = True
        async with asyncio.timeout(300):
            await asyncio.gather(*lives)
        if await self._is_quiet():
            await self._replay()
            await self._is_quiet()
        for house in self.houses:
            await house.terminate()
        seen = await self.witness.see()
        self.judge.judge(seen, everything=True)
        return seen

    async def _is_quiet(self) -> bool:
        """Wait until no run is live; False when one does not end."""
        end = time.monotonic() + self.plan.end_seconds
        while True:
            seen = await self.witness.see()
            live = seen.live
            held = [held.id for held in seen.books.held]
            late = time.monotonic() > end
            if not (live or held) or late:
                check = self.judge.verdict.check
                check("no run is live for ever", holds=not live, otherwise=str(live))
                check("nothing is held for ever", holds=bool(live) or not held, otherwise=str(held))
                return not live
            await asyncio.sleep(0.3)

    async def _replay(self) -> None:
        """Read every conversation through HTTP: its messages, and its newest run from the start."""
        replays = 0
        for person in self.people:
            for talk in person.talks:
                if not any(sent.id for sent in talk.sent) or replays >= REPLAYS_MAX:
                    continue
                replays += 1
                reading = Reading(after=0)
                path = f"/conversations/{talk.id}/stream"
                choice = {"provider_id": PROVIDER, "model": "brisk"}
                try:
                    async for _ in person._frames(reading, path, choice, last=0):
                        pass
                except GONE:
                    pass
                if reading.was_refused:  # it was never answered, and cannot be now
                    continue
                messages = await person._try(
                    "look", "GET", f"/conversations/{talk.id}/messages", None
                )
                seen = await self._answer_of(reading)
                text = replayed_text(reading.frames)
                self.judge.verdict.check(
                    "replay through HTTP = the stored answer",
                    holds=reading.done is not None
                    and seen is not None
                    and text == seen[1]
                    and (listed(messages, seen[0]) or "") == text,
                    otherwise=f"conversation {talk.id}: {reading.done}, {len(text)}, {seen and len(seen[1])}",
                )

    async def _answer_of(self, reading: Reading) -> tuple[int, str] | None:
        self._seen = getattr(self, "_seen", None) or await self.witness.see()
        row = self._seen.of(reading.generation or "")
        if row is None or row.is_live:
            self._seen = await self.witness.see()
            row = self._seen.of(reading.generation or "")
        return None if row is None else (row.answer_id, self._seen.messages[row.answer_id].text)
