"""Removes the content of a deleted conversation. Decisions: "Conversations and messages"."""

from palaver.domain.jobs import Job
from palaver.domain.users import SYSTEM
from palaver.jobs.worker import Handler
from palaver.services.purge import PurgeService


def purge_conversation(purge: PurgeService) -> Handler:
    """Return the handler of `{"conversation_id"}`; one whose answer still runs is tried again."""

    async def handle(job: Job) -> None:
        while not await purge.conversation(SYSTEM, job.payload["conversation_id"]):
            pass

    return handle
