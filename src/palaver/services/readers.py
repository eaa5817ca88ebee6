"""Readers: the streams that sign-ins and API keys have open here. When one ends, so do they."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from palaver.domain.streams import Stream
from palaver.domain.users import Actor
from palaver.storage.database import Database

Streams: TypeAlias = dict[int, set[Stream]]


class ReaderService:
    """Knows every open stream of this process by the sign-in, or the key, that opened it."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._of_sessions: Streams = {}
        self._of_keys: Streams = {}

    @contextlib.contextmanager
    def reading(self, actor: Actor, stream: Stream) -> Iterator[None]:
        """Note a stream for as long as it is open; one of nobody's sign-in is left alone."""
        is_by_key = actor.key_id is not None
        open_streams = self._of_keys if is_by_key else self._of_sessions
        id = actor.key_id if is_by_key else actor.session_id
        if id is None:
            yield
            return
        open_streams.setdefault(id, set()).add(stream)
        try:
            yield
        finally:
            streams = open_streams[id]
            streams.discard(stream)
            if not streams:
                del open_streams[id]

    async def end_revoked(self, actor: Actor) -> int:
        """Close the streams of what has been ended or revoked, on any worker; return how many."""
        actor.require_admin()
        streams: list[Stream] = []
        if self._of_sessions:
            async with self.db.read() as tx:
                ended = await tx.sessions.revoked(list(self._of_sessions))
            streams += _of(self._of_sessions, ended)
        if self._of_keys:
            async with self.db.read() as tx:
                revoked = await tx.api_keys.revoked(list(self._of_keys))
            streams += _of(self._of_keys, revoked)
        for stream in streams:
            stream.close()
        return len(streams)


def _of(streams: Streams, ids: Iterable[int]) -> list[Stream]:
    return [stream for id in ids for stream in streams.get(id, ())]
