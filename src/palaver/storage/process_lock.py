"""One process serves or migrates a SQLite database: a lock file beside it proves it.

Other commands write without the lock: one short transaction each, as any stranger may.
"""

import fcntl
import logging
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Final

from palaver.storage.database import DatabaseError
from palaver.storage.opening import is_postgresql, sqlite_path

log = logging.getLogger(__name__)

# Their locks, or their shared memory, do not hold what a write-ahead log needs
# (https://www.sqlite.org/wal.html, "All processes using a database must be on the same host").
_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "fuse.sshfs", "fuse.glusterfs"}
)
_MOUNTS: Final = Path("/proc/self/mounts")


class ProcessLock:
    """`flock` on `<database>.lock`: gone with the process, however that ends.

    Raises `DatabaseError` when another process has it, or on a network file system.
    """

    def __init__(self, path: str) -> None:
        refuse_network(path)
        self._path = f"{path}.lock"
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DatabaseError(f"{self._path} cannot be opened: {error.strerror}.") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 20, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise DatabaseError(
                f"Another Palaver (process {holder or 'unknown'}) is using {path}. "
                "Stop it first, or use PostgreSQL for several processes."
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let others have it. The file stays: removing it would let two processes lock two."""
        os.close(self._descriptor)

    def __enter__(self) -> "ProcessLock":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def sole_process(url: str) -> AbstractContextManager[object]:
    """Hold the lock of a SQLite database while it is served or migrated; PostgreSQL needs none."""
    return nullcontext() if is_postgresql(url) else ProcessLock(sqlite_path(url))


def refuse_network(path: str) -> None:
    """Raise `DatabaseError` when Linux says that the file lies on a network file system."""
    kind = _file_system(os.path.realpath(path))
    if kind in _NETWORK:
        raise DatabaseError(
            f"{path} is on a network file system ({kind}), where SQLite can lose data. "
            "Use a local disk, or PostgreSQL."
        )


def _file_system(path: str, mounts: Path = _MOUNTS) -> str:
    """Return the type of the file system of a path, "" where it cannot be told."""
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in lines:
        point, type_ = line.split(" ", 3)[1:3]
        point = point.replace("\\040", " ").rstrip("/")
        # Of two mounts at one point the later one lies on top.
        if len(point) >= len(best) and f"{path}/".startswith(f"{point}/"):
            best, kind = point, type_
    return kind
