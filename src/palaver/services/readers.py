"""Readers: the streams that sign-ins have open here. When a sign-in ends, so do they."""

import contextlib
from collections.abc import Iterator

from palaver.domain.streams import Stream
from palaver.domain.users import Actor
from palaver.storage.database import Database


class ReaderService:
    """Knows every open stream of this process by the sign-in that opened it."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._streams: dict[int, set[Stream]] = {}

    @contextlib.contextmanager
    def reading(self, actor: Actor, stream: Stream) -> Iterator[None]:
        """Note a stream for as long as it is open; one of nobody's sign-in is left alone."""
        id = actor.session_id
        if id is None:
            yield
            return
        self._streams.setdefault(id, set()).add(stream)
        try:
            yield
        finally:
            streams = self._streams[id]
            streams.discard(stream)
            if not streams:
                del self._streams[id]

    async def end_revoked(self, actor: Actor) -> int:
        """Close the streams of sign-ins that have been ended, on any worker; return how many."""
        actor.require_admin()
        if not self._streams:
            return 0
        async with self.db.read() as tx:
            revoked = await tx.sessions.revoked(list(self._streams))
        streams = [stream for id in revoked for stream in self._streams.get(id, ())]
        for stream in streams:
            stream.close()
        return len(streams)
