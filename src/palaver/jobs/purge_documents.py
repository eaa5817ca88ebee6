"""Removes what deleted documents held, and files that no row knows."""

from collections.abc import Awaitable, Callable
from typing import Final

from palaver.domain.jobs import Job
from palaver.domain.users import SYSTEM, Actor
from palaver.jobs.worker import Handler
from palaver.services.documents import DocumentService

SWEEP_SECONDS: Final = 3_600


def purge_document(documents: DocumentService) -> Handler:
    """Return the handler of `{"document_id"}`."""

    async def handle(job: Job) -> None:
        while not await documents.purge(SYSTEM, job.payload["document_id"]):
            pass

    return handle


def sweep_files(*sweeps: Callable[[Actor], Awaitable[int]]) -> Callable[[], Awaitable[float]]:
    """Return the step of a loop: what broke off leaves files, and so does what was deleted."""

    async def step() -> float:
        for sweep in sweeps:
            await sweep(SYSTEM)
        return SWEEP_SECONDS

    return step
