"""Background work: a thin file per job."""

from palaver.jobs.background import Background, build

__all__ = ["Background", "build"]
