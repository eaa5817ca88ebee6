"""Embedding: every memory and chunk gets its vector of the space that is set up, in time.

What has none stands in the index (`tx.vectors.missing`): so whatever was written, changed, or
embedded by another model is found there, and nobody has to tell. Searches meanwhile use what there
is, and what another model has left behind is purged (`RetrievalService.purge`).
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from palaver.domain.embedders import Embedded, Embedder
from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.events import UsageReported
from palaver.domain.search import SearchKind
from palaver.domain.tokens import estimate_tokens
from palaver.domain.users import Actor
from palaver.domain.vectors import Packed, packed
from palaver.kit.clock import SECOND, Clock, system_clock
from palaver.kit.ids import new_uuid
from palaver.services.embedding_costs import EmbeddingCosts
from palaver.storage.database import Database, DatabaseError, retrying
from palaver.storage.statements import Engine
from palaver.storage.vectors import Lacking

log = logging.getLogger(__name__)

KINDS: Final = (SearchKind.MEMORY, SearchKind.CHUNK)
BATCH: Final = 32  # texts that are embedded at once
PUT_MAX: Final = 8  # vectors in one transaction: about 2 ms of the writer
DOCUMENTS_MAX: Final = 20  # that are corrected in one transaction
IDLE_SECONDS: Final = 1.0
NEVER_SECONDS: Final = 3_600.0
BACKOFF_SECONDS: Final = 2.0  # after a failure; doubles
BACKOFF_MAX_SECONDS: Final = 300.0
TURN: Final = 300 * SECOND  # of one worker, when it dies; a batch takes less
SHORT_LENGTH: Final = 1_000  # code points of a text whose whole was refused
PROBE: Final = "palaver"

_Texts: TypeAlias = Mapping[Lacking, str]
_Vectors: TypeAlias = dict[Lacking, Packed | None]  # None: the embedder takes it in no form


class EmbeddingService:
    """Embeds what has no vector yet."""

    def __init__(
        self, db: Database, embedder: Embedder | None, *, clock: Clock = system_clock
    ) -> None:
        self.db = db
        self.embedder = embedder
        self.costs = EmbeddingCosts(db, "" if embedder is None else embedder.id, clock=clock)
        self._after = dict.fromkeys(KINDS, 0)  # the owner who was served last
        self._failures = 0
        self._clock = clock
        self._holder = "" if db.engine is Engine.SQLITE else new_uuid()  # there we are alone

    async def close(self) -> None:
        """Wait until all is paid, and give the embedder up."""
        await self.costs.close()
        if self._holder and self.embedder is not None:
            with contextlib.suppress(DatabaseError):
                async with self.db.transaction() as tx:
                    await tx.embeddings.end_turn(self._holder)
        if self.embedder is not None:
            await self.embedder.close()

    async def embed_some(self, actor: Actor) -> float:
        """Embed a batch of each kind; return in how many seconds there may be more to do."""
        actor.require_admin()
        is_corrected = await self._correct()
        if self.embedder is None:
            return 0.0 if is_corrected else NEVER_SECONDS
        try:
            done = [await self._embed_kind(self.embedder, kind) for kind in KINDS]
        except ProviderError as error:
            return self._pause(error)
        self._failures = 0
        return 0.0 if any(done) or is_corrected else IDLE_SECONDS

    def _pause(self, error: ProviderError) -> float:
        log.warning("Nothing is embedded for now: %s", error.message)
        usual: float = min(BACKOFF_SECONDS * 2**self._failures, BACKOFF_MAX_SECONDS)
        self._failures = min(self._failures + 1, 16)
        return max(usual, min(error.retry_after_seconds or 0, BACKOFF_MAX_SECONDS))

    async def _correct(self) -> bool:
        """Let documents tell of the space that is set up; False where all of them do."""
        space = None if self.embedder is None else self.embedder.id
        async with self.db.read() as tx:
            ids = await tx.embeddings.mistaken(space=space, limit=DOCUMENTS_MAX)
        if ids:
            async with self.db.transaction() as tx:
                await tx.embeddings.correct(ids, space=space)
        return bool(ids)

    async def _embed_kind(self, embedder: Embedder, kind: SearchKind) -> bool:
        """Embed a batch; False where nothing can be. Raises `ProviderError`."""
        wanted = await self._next(embedder, kind)
        if not wanted or not await self._take_turn():
            return False
        held = await self.costs.hold(_shares(wanted))
        affordable = {each: text for each, text in wanted.items() if each.owner_id in held}
        used: dict[int, UsageReported] = {}
        try:
            vectors, tokens = await self._embed(embedder, affordable)
            await self._put(embedder, kind, vectors)
            used = _usage(affordable, tokens)
        finally:  # what was not used is given back
            for owner_id, share in held.items():
                await self.costs.settle(owner_id, used.get(owner_id), share)
        return bool(vectors)

    async def _take_turn(self) -> bool:
        """Tell whether it is this worker that embeds: two would pay for the same."""
        if not self._holder:
            return True
        at = self._clock()
        async with self.db.transaction() as tx:
            return await tx.embeddings.take_turn(self._holder, at=at, until=at + TURN)

    async def _next(self, embedder: Embedder, kind: SearchKind) -> _Texts:
        """Return texts of several users whose turn it is."""
        poor = self.costs.poor()
        async with self.db.read() as tx:
            found = await tx.vectors.missing(
                kind, space=embedder.id, limit=BATCH, after=self._after[kind]
            )
            if not found:
                return {}
            self._after[kind] = found[-1].owner_id
            lacking = [each for each in found if each.owner_id not in poor]
            texts = await tx.embeddings.texts(kind, [each.ref for each in lacking])
        # What is gone leaves the index with the next fold.
        return {each: texts[each.ref] for each in lacking if texts.get(each.ref, "").strip()}

    async def _embed(self, embedder: Embedder, texts: _Texts) -> tuple[_Vectors, int]:
        """Return the vectors of texts, and the tokens. Raises `ProviderError`."""
        if not texts:
            return {}, 0
        try:
            found = await embedder.embed(list(texts.values()))
            vectors = await asyncio.to_thread(_packed, found)
            return dict(zip(texts, vectors, strict=True)), found.tokens
        except ValueError as error:
            raise ProviderError("The embedder gave no vectors for these texts.") from error
        except ProviderError as error:
            if _is_passing(error):
                raise
        # One text may have spoilt it for all; that must not stop the others for good.
        return await self._embed_each(embedder, texts)

    async def _embed_each(self, embedder: Embedder, texts: _Texts) -> tuple[_Vectors, int]:
        vectors: _Vectors = {}
        tokens = 0
        for each, text in texts.items():
            vectors[each], used = await _embed_one(embedder, text)
            tokens += used
        if not any(vectors.values()):
            _ = await embedder.embed([PROBE])  # where not even this is taken, no text is at fault
        for each in [each for each, vector in vectors.items() if vector is None]:
            log.warning("The embedder does not take text %d of user %d", each.ref, each.owner_id)
        return vectors, tokens

    async def _put(self, embedder: Embedder, kind: SearchKind, vectors: _Vectors) -> None:
        good = [(each, vector) for each, vector in vectors.items() if vector is not None]
        for start in range(0, len(good), PUT_MAX):
            await self._put_some(embedder.id, kind, good[start : start + PUT_MAX])
            await asyncio.sleep(0)
        bad = [each for each, vector in vectors.items() if vector is None]
        if bad:
            async with self.db.transaction() as tx:
                await tx.embeddings.pass_over(kind, bad, space=embedder.id)
                if kind is SearchKind.CHUNK:
                    refs = [each.ref for each in bad]
                    await tx.embeddings.count(refs, space=embedder.id, is_sure=False)

    @retrying
    async def _put_some(
        self, space: str, kind: SearchKind, entries: Sequence[tuple[Lacking, Packed]]
    ) -> None:
        async with self.db.transaction() as tx:
            kept = await tx.vectors.put(kind, entries, space=space)
            if kept and kind is SearchKind.CHUNK:
                refs = [each.ref for each, _ in entries]
                await tx.embeddings.count(refs, space=space, is_sure=kept == len(entries))


def _is_passing(error: ProviderError) -> bool:
    return error.may_be_repeated or error.kind is ErrorKind.PROVIDER_TIMEOUT


async def _embed_one(embedder: Embedder, text: str) -> tuple[Packed | None, int]:
    """Return the vector of a text, or of its begin; None where neither is taken."""
    for length in (len(text), SHORT_LENGTH):
        try:
            found = await embedder.embed([text[:length]])
            return packed(found.vectors[0]), found.tokens
        except (ValueError, IndexError):
            break
        except ProviderError as error:
            if _is_passing(error):
                raise
    return None, 0


def _packed(found: Embedded) -> list[Packed]:
    """Pack vectors; takes its time: beside the loop. Raises `ValueError`."""
    return [packed(vector) for vector in found.vectors]


def _shares(texts: _Texts) -> dict[int, int]:
    """Return about how many tokens the texts of each user have."""
    shares: dict[int, int] = {}
    for each, text in texts.items():
        shares[each.owner_id] = shares.get(each.owner_id, 0) + estimate_tokens(text)
    return shares


def _usage(texts: _Texts, tokens: int) -> dict[int, UsageReported]:
    """Divide the tokens of a batch among its users; where nobody said any, it is our estimate."""
    shares = _shares(texts)
    whole = sum(shares.values())
    return {
        owner_id: UsageReported(
            -(-share * tokens // whole) if tokens else share, 0, is_estimate=not tokens
        )
        for owner_id, share in shares.items()
    }
