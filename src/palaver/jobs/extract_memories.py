"""Takes memories from a user's messages after an answer. Decisions: "platform" (Memories)."""

import logging
from typing import Final

from palaver.domain.errors import DomainError, ProviderError
from palaver.domain.jobs import Job
from palaver.domain.users import SYSTEM
from palaver.jobs.worker import Handler
from palaver.services.memory_extraction import MemoryExtractionService

log = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 3
"""Nobody waits for it: what does not work at once is soon given up."""


def extract_memories(extraction: MemoryExtractionService) -> Handler:
    """Return the handler of `{"conversation_id", "message_id"}`: the first message to mine."""

    async def handle(job: Job) -> None:
        if job.attempt > MAX_ATTEMPTS:
            return
        try:
            await extraction.extract(
                SYSTEM, job.payload["conversation_id"], first_message_id=job.payload["message_id"]
            )
        except DomainError as error:
            if isinstance(error, ProviderError) and error.may_be_repeated:
                raise
            log.info("no memories are taken from a conversation: %s", error.message)

    return handle
