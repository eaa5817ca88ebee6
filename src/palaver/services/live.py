"""Following a conversation: the run that goes on in it, or else the next one."""

import asyncio
from collections.abc import Collection

import msgspec

from palaver.domain.errors import DomainError, InvalidInput
from palaver.domain.events import Segment
from palaver.domain.generations import Generation, parse_outline
from palaver.domain.streams import PassingStream, Stream, Take
from palaver.domain.users import Actor
from palaver.kit.bell import Bell
from palaver.services.conversations import get_conversation
from palaver.services.generations import GenerationService
from palaver.storage.database import Database, DatabaseError


class Running(msgspec.Struct, frozen=True):
    """A run that is followed, and the uuid of the answer that it writes."""

    generation: Generation
    answer_uuid: str


class LiveStream:
    """Reads one run of a conversation, once there is one: see `Stream`."""

    def __init__(
        self, service: "LiveService", actor: Actor, conversation_id: int, *, newer_than: int
    ) -> None:
        self.at = 0
        self.running: Running | None = None
        self.conversation_id = conversation_id
        self.newer_than = newer_than  # the id of a run that has been read already
        self._service = service
        self._actor = actor
        self._bell = Bell()
        self._stream: Stream | None = None
        self._take: Take | None = None
        self._is_closed = False

    async def next(
        self, *, silence_seconds: float | None = None, silent_since: float | None = None
    ) -> list[Segment] | None:
        """Return what lies beyond `at`; see `Stream`."""
        while self._stream is None and not self._is_closed:
            try:
                await self._service.look_for(self._actor, self)
            except (DomainError, DatabaseError):
                return []  # a stream that has begun can only end; its reader comes back
            if self._stream is None and not await self._wait(silence_seconds, silent_since):
                return None
        if self._stream is None:
            return []
        segments = await self._stream.next(
            silence_seconds=silence_seconds, silent_since=silent_since
        )
        self.at = self._stream.at
        return segments

    async def _wait(self, silence_seconds: float | None, silent_since: float | None) -> bool:
        """Wait until somebody says that there is something; False after so much silence."""
        if silence_seconds is None:
            return await self._bell.wait()
        now = asyncio.get_running_loop().time()
        since = now if silent_since is None else silent_since
        return await self._bell.wait(max(0.0, since + silence_seconds - now))

    def pass_to(self, take: Take) -> None:
        """Give `take` what comes while a `next` waits; see `PassingStream`."""
        self._take = take
        if isinstance(self._stream, PassingStream):
            self._stream.pass_to(take)

    def read(self, running: Running, stream: Stream) -> None:
        """Wait no more: this is the run."""
        self._service.waiting.discard(self)
        if self._is_closed:
            stream.close()
            return
        self.at, self.running, self._stream = stream.at, running, stream
        if self._take is not None:
            self.pass_to(self._take)

    def wake(self) -> None:
        """Look whether the run has begun."""
        self._bell.ring()

    def close(self) -> None:
        """Leave; a `next` under way returns []."""
        self._is_closed = True
        self._service.waiting.discard(self)
        self._bell.ring()
        if self._stream is not None:
            self._stream.close()


class Waiting:
    """The readers of this worker whose run has not begun, by conversation."""

    def __init__(self) -> None:
        self._streams: dict[int, set[LiveStream]] = {}
        self._is_closed = False

    @property
    def conversation_ids(self) -> Collection[int]:
        """Return the conversations that somebody waits for."""
        return tuple(self._streams)

    def add(self, stream: LiveStream) -> None:
        """Let a reader be woken; once everybody was sent home, it is closed at once."""
        if self._is_closed:
            stream.close()
        else:
            self._streams.setdefault(stream.conversation_id, set()).add(stream)

    def discard(self, stream: LiveStream) -> None:
        """Let a reader wait no more. Harmless when repeated."""
        streams = self._streams.get(stream.conversation_id, set())
        streams.discard(stream)
        if not streams:
            self._streams.pop(stream.conversation_id, None)

    def tell(self, generation: Generation) -> None:
        """Say that a run has begun on this worker."""
        self.tell_of(generation.conversation_id, generation.id)

    def tell_of(self, conversation_id: int, generation_id: int) -> None:
        """Say which run is the newest of a conversation."""
        for stream in self._streams.get(conversation_id, ()):
            if generation_id > stream.newer_than:
                stream.wake()

    def close(self) -> None:
        """Send everybody home: the server stops."""
        self._is_closed = True
        for stream in [stream for streams in self._streams.values() for stream in streams]:
            stream.close()


class LiveService:
    """Who follows a conversation gets its run, whatever worker it begins on."""

    def __init__(self, db: Database, generations: GenerationService, waiting: Waiting) -> None:
        self.db = db
        self.generations = generations
        self.waiting = waiting

    async def follow(self, actor: Actor, key: int | str, *, after: int = 0) -> LiveStream:
        """Return a reader of the newest run from the number `after` on, or of the next one.

        Who has read the newest ended run to its end gets the one after it. A number beyond what the
        newest run has is that of a former one: the newest is read from its beginning. Raises
        `NotFound`.
        """
        async with self.db.read(snapshot=True) as tx:
            conversation = await get_conversation(tx, actor, key)
            newest = await tx.generations.newest_of_conversation(conversation.id)
            ended = newest
            if newest is not None and newest.state.is_live:
                ended = await tx.generations.newest_ended_of_conversation(conversation.id)
        has_read = ended is not None and after > 0 and after == _end_of(ended)
        if newest is not None and not (has_read and newest is ended):
            stream = LiveStream(self, actor, conversation.id, newer_than=0)
            await self._read(actor, stream, newest, after=0 if has_read else after)
        else:
            newer_than = 0 if newest is None else newest.id
            stream = LiveStream(self, actor, conversation.id, newer_than=newer_than)
            self.waiting.add(stream)
        return stream

    async def look_for(self, actor: Actor, stream: LiveStream) -> None:
        """Let a reader who waits read the next run, if it has begun. Raises `NotFound`."""
        async with self.db.read(snapshot=True) as tx:
            await get_conversation(tx, actor, stream.conversation_id)
            newest = await tx.generations.newest_of_conversation(stream.conversation_id)
        if newest is not None and newest.id > stream.newer_than:
            await self._read(actor, stream, newest, after=0)

    async def look(self, actor: Actor) -> None:
        """Wake those whose run has begun on another worker."""
        actor.require_admin()
        if conversation_ids := self.waiting.conversation_ids:
            async with self.db.read() as tx:
                newest = await tx.generations.newest_of_each(conversation_ids)
            for conversation_id, generation_id in newest:
                self.waiting.tell_of(conversation_id, generation_id)

    async def _read(
        self, actor: Actor, stream: LiveStream, generation: Generation, *, after: int
    ) -> None:
        _, answer = await self.generations.answer_of(actor, generation.uuid)
        try:
            reader = await self.generations.follow(actor, generation.uuid, after=after)
        except InvalidInput:
            reader = await self.generations.follow(actor, generation.uuid)
        stream.read(Running(generation, answer.uuid), reader)


def _end_of(generation: Generation) -> int:
    """Return the number with which an ended run ends."""
    outline = parse_outline(generation.outline)
    return outline[-1].until if outline else 0
