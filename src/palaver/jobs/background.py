"""What runs beside the requests of one process: the job worker, and its loops."""

from typing import Final

from palaver.domain.users import SYSTEM, Actor
from palaver.jobs.deliver_webhooks import deliver_webhooks
from palaver.jobs.embed_texts import embed_texts
from palaver.jobs.end_readers import end_readers
from palaver.jobs.erase_accounts import erase_account
from palaver.jobs.extract_memories import extract_memories
from palaver.jobs.fold_search import fold_search
from palaver.jobs.ingest_documents import ingest_documents
from palaver.jobs.loops import Loops
from palaver.jobs.purge_conversations import purge_conversation
from palaver.jobs.purge_documents import purge_document, sweep_files
from palaver.jobs.purge_expired import KIND as PURGE_EXPIRED
from palaver.jobs.purge_expired import Purge, purge_expired
from palaver.jobs.release_orphans import release_orphans
from palaver.jobs.renew_keys import renew_keys
from palaver.jobs.title_conversations import title_conversation
from palaver.jobs.wake_followers import wake_followers
from palaver.jobs.worker import JobWorker
from palaver.kit.clock import DAY, Clock, system_clock
from palaver.services.accounts import ERASE_JOB
from palaver.services.conversations import PURGE_JOB
from palaver.services.documents import PURGE_JOB as PURGE_DOCUMENT
from palaver.services.embedding import EmbeddingService
from palaver.services.ingestion import IngestionService
from palaver.services.jobs import JobService
from palaver.services.memory_extraction import EXTRACTION_JOB
from palaver.services.purge import PurgeService
from palaver.services.services import Services
from palaver.services.settlement import TITLE_JOB

SESSIONS_KEPT: Final = 30 * DAY
"""So long a sign-in that has ended is told from one that never was."""


class Background:
    """The worker and the loops, started and closed together."""

    def __init__(
        self,
        services: Services,
        jobs: JobService,
        ingestion: IngestionService,
        embedding: EmbeddingService,
        worker: JobWorker,
    ) -> None:
        self._services = services
        self._embedding = embedding
        self._ingestion = ingestion
        self._jobs = jobs
        self._worker = worker
        self._loops = Loops()

    def start(self) -> None:
        """Begin; returns at once."""
        self._worker.start()
        self._loops.start(fold_search(self._services.search), name="fold search")
        self._loops.start(renew_keys(self._services.idempotency), name="renew keys")
        self._loops.start(release_orphans(self._services.ledger), name="release orphans")
        self._loops.start(wake_followers(self._services.live), name="wake followers")
        self._loops.start(end_readers(self._services.readers), name="end readers")
        kept = self._services.documents, self._services.pictures, self._services.portraits
        self._loops.start(sweep_files(*(each.sweep for each in kept)), name="sweep files")
        for lane in self._ingestion.lanes:
            step = ingest_documents(self._ingestion, lane)
            self._loops.start(step, name=f"read documents: {lane.name}")
        self._loops.start(embed_texts(self._embedding), name="embed texts")
        self._loops.start(deliver_webhooks(self._services.deliveries), name="deliver webhooks")
        self._loops.start(self._begin, name="begin")

    def wake(self) -> None:
        """Say that a job was enqueued."""
        self._worker.wake()

    async def close(self) -> None:
        """Stop; what was not finished is done later, here or elsewhere."""
        await self._loops.close()
        await self._services.deliveries.close()
        await self._worker.close()

    async def _begin(self) -> float:
        await self._services.models.warm(SYSTEM)
        # The job enqueues its next time itself; should its row ever be lost, this brings it back.
        await self._jobs.enqueue(SYSTEM, PURGE_EXPIRED, {}, dedupe_key=PURGE_EXPIRED)
        self.wake()
        return DAY / 1_000_000


def build(
    services: Services,
    jobs: JobService,
    purge: PurgeService,
    ingestion: IngestionService,
    embedding: EmbeddingService,
    *,
    clock: Clock = system_clock,
) -> Background:
    """Put every job of the house together."""

    async def sessions(actor: Actor) -> int:
        return await services.sessions.purge(actor, before=clock() - SESSIONS_KEPT)

    purges: list[Purge] = [
        services.idempotency.purge,
        purge.events,
        purge.deleted_messages,
        sessions,
        services.api_keys.purge,
        services.password_resets.purge,
        services.ledger.forget_steps,
        services.rates.purge,
        services.retrieval.purge,
        services.deliveries.purge,
    ]
    worker = JobWorker(
        jobs,
        {
            ERASE_JOB: erase_account(services.erasure),
            PURGE_JOB: purge_conversation(purge),
            PURGE_DOCUMENT: purge_document(services.documents),
            PURGE_EXPIRED: purge_expired(jobs, purges),
            TITLE_JOB: title_conversation(services.titles),
            EXTRACTION_JOB: extract_memories(services.memory_extraction),
        },
    )
    return Background(services, jobs, ingestion, embedding, worker)
