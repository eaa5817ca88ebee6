"""Removes what deleted documents held, and files that no document knows."""

from collections.abc import Awaitable, Callable
from typing import Final

from palaver.domain.jobs import Job
from palaver.domain.users import SYSTEM
from palaver.jobs.worker import Handler
from palaver.services.documents import DocumentService

SWEEP_SECONDS: Final = 3_600


def purge_document(documents: DocumentService) -> Handler:
    """Return the handler of `{"document_id"}`."""

    async def handle(job: Job) -> None:
        while not await documents.purge(SYSTEM, job.payload["document_id"]):
            pass

    return handle


def sweep_files(documents: DocumentService) -> Callable[[], Awaitable[float]]:
    """Return the step of a loop: uploads that broke off leave files, and so do deleted accounts."""

    async def step() -> float:
        await documents.sweep(SYSTEM)
        return SWEEP_SECONDS

    return step
