"""People who talk, read, come back, cancel, ask again: through HTTP, whatever happens to the server."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final
from uuid import uuid4

import aiohttp

from tests.chaos.frames import parse_frames
from tests.chaos.record import Frame, Reading, Sent, Talk
from tests.chaos.street import Street

PROVIDER: Final = "lmstudio"
GONE: Final = (aiohttp.ClientError, OSError, TimeoutError)
WEIGHTS: Final = {
    "brisk": 8,
    "steady": 8,
    "long": 4,
    "burst": 3,
    "thinking": 5,
    "continuing": 5,
    "dying": 2,
    "stillborn": 1,
}


class Person:
    """One account and what it does, over and over."""

    def __init__(self, name: str, street: Street, session: aiohttp.ClientSession) -> None:
        self.name = name
        self.id = 0
        self.street = street
        self.record = street.record
        self.rng = random.Random(street.rng.random())
        self.session = session
        self.headers: dict[str, str] = {}
        self.talks: list[Talk] = []
        self.count = 0
        self.is_limited = False  # by a plan that is not enough for what they do
        self._tasks: set[asyncio.Task[None]] = set()

    async def register(self) -> None:
        """Get an account, and sign in."""
        body = {"username": self.name, "password": f"{self.name} opens the door"}
        await self._sign_in("/auth/register", body, {})

    async def _sign_in(self, path: str, body: Any, headers: dict[str, str]) -> None:
        async with (
            self.street.way() as address,
            self.session.post(address + path, json=body, headers=headers) as response,
        ):
            answer = await response.json()
            assert response.status == 200, answer
            cookies = [f"{name}={each.value}" for name, each in response.cookies.items()]
            self.headers = {"cookie": "; ".join(cookies), "x-csrf-token": answer["csrf_token"]}
            self.id = answer["user"]["id"]

    async def live(self) -> None:
        """Do one thing after the other, until the end."""
        doings: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self.begin, 2),
            (self.ask, 10),
            (self.ask_again, 2),
            (self.rename, 1),
            (self.look, 2),
            (self.delete, 1),
        ]
        while not self.street.is_ending:
            (doing,) = self.rng.choices([d for d, _ in doings], [w for _, w in doings])
            await doing()
            await asyncio.sleep(self.rng.random() / 20)
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    # What people do

    async def begin(self) -> None:
        """Begin a conversation."""
        talk = Talk(title=f"{self.name} {self._next()}")
        talk.titles = {talk.title}
        self.record.talks.append(talk)
        await self._keyed("begin", "/conversations", {"title": talk.title}, self._begun(talk))

    def _begun(self, talk: Talk) -> Callable[[Any], None]:
        def note(answer: Any) -> None:
            talk.id = answer["id"]
            self.talks.append(talk)

        return note

    async def ask(self) -> None:
        """Say something, and read the answer in some way."""
        async with self._some_talk() as talk:
            if talk is None:
                return
            sent = Sent(f"{self.name} says {self._next()}: " + "why? " * self.rng.randint(1, 20))
            talk.sent.append(sent)
            path = f"/conversations/{talk.id}/messages"

            def note(answer: Any) -> None:
                sent.id = answer["message_id"]

            await self._keyed("say", path, {"content": sent.text}, note, talk=talk)
            if sent.id is not None:
                await self.read(talk, self._choice())

    async def ask_again(self) -> None:
        """Retry, sometimes while the answer is still being written."""
        async with self._some_talk(wants=lambda talk: talk.retries > 0) as talk:
            if talk is None or not any(sent.id for sent in talk.sent):
                return
            choice = self._choice()
            talk.retries += 1
            answer = await self._try(
                "retry", "POST", "/chat/retry", {"conversation_id": talk.id, **choice}
            )
            if answer is not None:
                talk.retried.append(answer["message_id"])
                await self.read(talk, choice)

    async def rename(self) -> None:
        """Give a conversation another title."""
        async with self._some_talk() as talk:
            if talk is None:
                return
            title = f"{self.name} renamed {self._next()}"
            talk.titles.add(title)
            answer = await self._try(
                "rename", "PATCH", f"/conversations/{talk.id}", {"title": title}
            )
            if answer is not None:
                talk.titles = {title}

    async def look(self) -> None:
        """List a conversation: everything that was acknowledged is there, once."""
        async with self._some_talk() as talk:
            if talk is None:
                return
            answer = await self._try("look", "GET", f"/conversations/{talk.id}/messages", None)
            if answer is None:
                return
            texts = [message["content"] for message in answer if message["role"] == "user"]
            said = {sent.text for sent in talk.sent if sent.id is not None}
            if len(texts) != len(set(texts)):
                self.record.odd.append(f"conversation {talk.id} lists a message twice")
            if missing := said - set(texts):
                self.record.odd.append(f"conversation {talk.id} does not list {missing}")

    async def delete(self) -> None:
        """Delete a conversation, sometimes in the middle of an answer."""
        async with self._some_talk() as talk:
            if talk is None or self.rng.random() < 0.5:
                return
            talk.may_be_deleted = True
            self.talks.remove(talk)
            if self.rng.random() < 0.5 and any(sent.id for sent in talk.sent):
                await self.read(talk, self._choice(), at_most=3)
            answer = await self._try("delete", "DELETE", f"/conversations/{talk.id}", None)
            talk.is_deleted = answer is not None

    # Reading

    async def read(self, talk: Talk, choice: dict[str, Any], *, at_most: int | None = None) -> None:
        """Read an answer to its end, with connections that break and a person who leaves."""
        path = f"/conversations/{talk.id}/stream"
        cancels_at = self.rng.randint(1, 30) if self.rng.random() < 0.2 else None
        key = str(uuid4()) if self.rng.random() < 0.3 else None
        generation: str | None = None
        at: int | None = None
        total = 0
        while not self.street.is_ending and not talk.is_deleted:
            patience = at_most or (self.rng.randint(1, 40) if self.rng.random() < 0.4 else 10_000)
            reading = Reading(after=at or 0, expected=generation)
            async with aclosing(self._frames(reading, path, choice, key=key, last=at)) as frames:
                async for _ in frames:
                    total += 1
                    if generation is None and reading.generation and self.rng.random() < 0.15:
                        self._also(self._read_beside(talk, choice, reading.generation))
                    if total == cancels_at and reading.generation:
                        await self._cancel(reading.generation)
                    if len(reading.frames) > patience or self.street.is_ending:
                        break
            generation = reading.generation or generation
            if generation is not None:
                at, key = reading.at, None
            elif self.rng.random() < 0.2:
                key = None  # it may be under way for a minute: starting is idempotent without it
            if reading.done or reading.was_refused or at_most is not None:
                return
            await asyncio.sleep(self.rng.random() / 5)

    async def _read_beside(self, talk: Talk, choice: dict[str, Any], generation: str) -> None:
        """Be a second reader, from the beginning, as long as the connection holds."""
        reading = Reading(after=0, expected=generation)
        path = f"/conversations/{talk.id}/stream"
        async with aclosing(self._frames(reading, path, choice, last=0, talk=talk)) as frames:
            async for _ in frames:
                pass

    async def _frames(
        self,
        reading: Reading,
        path: str,
        choice: dict[str, Any],
        *,
        key: str | None = None,
        last: int | None = None,
        talk: Talk | None = None,
    ) -> AsyncGenerator[Frame, None]:
        """Open a stream and read it; ends when it ends, whyever."""
        headers = dict(self.headers)
        if key is not None:
            headers["idempotency-key"] = key
        if last is not None:
            headers["last-event-id"] = str(last)
        self.record.attempts["stream"] += 1
        try:
            async with (
                self.street.way() as address,
                self.session.post(address + path, json=choice, headers=headers) as response,
            ):
                if response.status == 404 and talk is not None and talk.may_be_deleted:
                    return
                if response.status != 200:
                    reading.was_refused = await self._refused("stream", response, last)
                    return
                self.record.acknowledged["stream"] += 1
                self.record.readings.append(reading)
                async for frame in parse_frames(response.content):
                    reading.frames.append(frame)
                    reading.generation = frame.data["generation_id"]
                    yield frame
                reading.ended_cleanly = True
        except GONE:
            return
        except GeneratorExit:
            reading.was_left = True
            raise
        finally:
            reading.is_over = True

    async def _refused(
        self, name: str, response: aiohttp.ClientResponse, last: int | None = None
    ) -> bool:
        """Take note of a refusal; tell whether a limit of the plan has refused."""
        text = await response.text()
        if response.status == 429 and self.is_limited and '"QUOTA_EXCEEDED"' in text:
            self.record.refused[name] += 1
            return True
        # Its first request died with the server, or is still at work: the repeat may come later.
        if response.status == 409 and "still under way" in text:
            await asyncio.sleep(0.2)
        else:
            self.record.odd.append(f"{name} (after {last}): {response.status} {text[:300]}")
        return False

    async def _cancel(self, generation: str) -> None:
        self.record.attempts["cancel"] += 1
        try:
            async with (
                self.street.way() as address,
                self.session.post(
                    f"{address}/chat/cancel/{generation}", headers=self.headers
                ) as response,
            ):
                if response.status == 200:
                    self.record.acknowledged["cancel"] += 1
                    self.record.canceled.add(generation)
                elif response.status != 404:  # it has ended meanwhile
                    await self._refused("cancel", response)
        except GONE:
            return

    # Calling

    async def _try(
        self,
        name: str,
        method: str,
        path: str,
        body: Any,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """Call once; None where no answer came."""
        self.record.attempts[name] += 1
        try:
            async with (
                self.street.way() as address,
                self.session.request(
                    method, address + path, json=body, headers=headers or self.headers
                ) as response,
            ):
                if response.status in {200, 201}:
                    answer = await response.json()
                    self.record.acknowledged[name] += 1
                    return answer
                await self._refused(name, response)
        except GONE:
            return None
        return None

    async def _keyed(
        self,
        name: str,
        path: str,
        body: Any,
        note: Callable[[Any], None],
        *,
        talk: Talk | None = None,
    ) -> None:
        """Call, with a key or without; with a key it is repeated until there is an answer.

        Who gets none at once goes on with something else, in another conversation.
        """
        if self.rng.random() < 0.3:
            answer = await self._try(name, "POST", path, body)
            if answer is not None:
                note(answer)
            return
        headers = {**self.headers, "idempotency-key": str(uuid4())}
        answer = await self._try(name, "POST", path, body, headers)
        if answer is not None:
            note(answer)
            if self.rng.random() < 0.2:
                self._check_repeat(name, answer, await self._try(name, "POST", path, body, headers))
            return
        if talk is not None and talk in self.talks:
            self.talks.remove(talk)  # nobody speaks there until it is clear what was said
        self._also(self._insist(name, path, body, headers, note, talk))

    def _check_repeat(self, name: str, first: Any, second: Any) -> None:
        if second is not None and second != first:
            self.record.odd.append(f"{name}: a repeat got {second}, the first {first}")

    async def _insist(
        self,
        name: str,
        path: str,
        body: Any,
        headers: dict[str, str],
        note: Callable[[Any], None],
        talk: Talk | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        insists_seconds = self.street.insists_seconds
        until = loop.time() + insists_seconds
        while (answer := await self._try(name, "POST", path, body, headers)) is None:
            await asyncio.sleep(0.5)
            if loop.time() > until and not insists_seconds:
                return
            if loop.time() > until:
                self.record.odd.append(f"{name}: no answer to a repeat within {insists_seconds} s")
                return
        note(answer)
        if talk is not None:
            self.talks.append(talk)

    # Small things

    @contextlib.asynccontextmanager
    async def _some_talk(
        self, wants: Callable[[Talk], bool] | None = None
    ) -> AsyncIterator[Talk | None]:
        """Give a conversation of mine that nobody else of me is in."""
        free = [talk for talk in self.talks if not talk.is_busy]
        # Retries stay in few conversations, so that in the others every text stands exactly once.
        favourite = [talk for talk in free if wants and wants(talk)] or free
        talk = self.rng.choice(favourite[-8:]) if favourite else None
        if talk is None:
            yield None
            return
        talk.is_busy = True
        try:
            yield talk
        finally:
            talk.is_busy = False

    def _choice(self) -> dict[str, Any]:
        (model,) = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))
        return {"provider_id": PROVIDER, "model": model}

    def _next(self) -> int:
        self.count += 1
        return self.count

    def _also(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
