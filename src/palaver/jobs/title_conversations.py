"""Asks the model for a title after the first answer. Decisions: "Conversations and messages"."""

import logging
from typing import Final

from palaver.domain.errors import DomainError, ProviderError
from palaver.domain.jobs import Job
from palaver.domain.users import SYSTEM
from palaver.jobs.worker import Handler
from palaver.services.titles import TitleService

log = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 3
"""A conversation can do without a title: what does not work at once is soon given up."""


def title_conversation(titles: TitleService) -> Handler:
    """Return the handler of `{"conversation_id"}`."""

    async def handle(job: Job) -> None:
        if job.attempt > MAX_ATTEMPTS:
            return
        try:
            await titles.write(SYSTEM, job.payload["conversation_id"], is_again=job.attempt > 1)
        except DomainError as error:
            if isinstance(error, ProviderError) and error.may_be_repeated:
                raise
            log.info("a conversation stays without a title: %s", error.message)

    return handle
