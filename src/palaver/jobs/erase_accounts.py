"""Removes what a deleted account holds. Decisions: "Accounts and signing in"."""

from palaver.domain.jobs import Job
from palaver.domain.users import SYSTEM
from palaver.jobs.worker import Handler
from palaver.services.erasure import ErasureService


def erase_account(erasure: ErasureService) -> Handler:
    """Return the handler of `{"user_id"}`; where other jobs are not done yet it is tried again."""

    async def handle(job: Job) -> None:
        while not await erasure.erase(SYSTEM, job.payload["user_id"]):
            pass

    return handle
