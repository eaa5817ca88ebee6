"""What this process takes of the machine, by the names that Prometheus's own clients use."""

import os
import resource
import time
from pathlib import Path
from typing import Final

from palaver.kit.metrics import gauge, shown

_STARTED_AT: Final = time.time()
_STATM: Final = Path("/proc/self/statm")
_OPEN_FILES: Final = Path("/proc/self/fd")


def process_lines() -> list[str]:
    """Return what is shown of it; without `/proc` there is less to tell."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_seconds = used.ru_utime + used.ru_stime
    lines = shown(
        "counter",
        "process_cpu_seconds_total",
        "Processor time, in seconds.",
        (),
        [((), cpu_seconds)],
    )
    lines += gauge("process_start_time_seconds", "When it began, since 1970.", _STARTED_AT)
    if _STATM.exists():
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
        lines += gauge(
            "process_resident_memory_bytes", "Memory in use.", pages * os.sysconf("SC_PAGE_SIZE")
        )
    if _OPEN_FILES.exists():
        count = len(os.listdir(_OPEN_FILES))
        lines += gauge("process_open_fds", "Open files and sockets.", count)
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        lines += gauge("process_max_fds", "How many may be open.", most)
    return lines
