import os
import subprocess
import sys
from pathlib import Path

import pytest

import palaver
from palaver.storage.database import DatabaseError
from palaver.storage.process_lock import ProcessLock, _file_system, sole_process

SOURCES = str(Path(palaver.__file__).parent.parent)


def take_in_another_process(path: str) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys; from palaver.storage.process_lock import ProcessLock; ProcessLock(sys.argv[1])"
    )
    return subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", program, path],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": SOURCES},
    )


def test_a_second_process_is_refused_with_a_sentence_that_names_the_first(tmp_path):
    path = str(tmp_path / "palaver.db")
    with ProcessLock(path):
        second = take_in_another_process(path)
        assert second.returncode == 1
        sentence = f"Another Palaver (process {os.getpid()}) is using {path}."
        assert sentence in second.stderr
    assert take_in_another_process(path).returncode == 0


def test_the_lock_is_free_again_after_its_release(tmp_path):
    path = str(tmp_path / "palaver.db")
    first = ProcessLock(path)
    with pytest.raises(DatabaseError, match="Another Palaver"):
        ProcessLock(path)
    first.release()
    ProcessLock(path).release()


def test_postgresql_needs_no_lock():
    with sole_process("postgresql://host/palaver"), sole_process("postgresql://host/palaver"):
        pass


def test_the_address_of_a_file_is_its_lock(tmp_path):
    url = f"sqlite:///{tmp_path / 'palaver.db'}"
    with sole_process(url), pytest.raises(DatabaseError, match="Another Palaver"):
        sole_process(url)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DatabaseError, match="nowhere"):
        ProcessLock(str(tmp_path / "nowhere" / "palaver.db"))


def test_the_file_system_of_a_path_is_that_of_the_mount_nearest_to_it(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/a / ext4 rw 0 0\nserver:/x /data nfs4 rw 0 0\n/dev/b /data/my\\040disk xfs rw 0 0\n"
        "tmpfs /over tmpfs rw 0 0\n//host/share /over cifs rw 0 0\n"
    )
    assert _file_system("/home/a.db", mounts) == "ext4"
    assert _file_system("/data/a.db", mounts) == "nfs4"
    assert _file_system("/database/a.db", mounts) == "ext4"
    assert _file_system("/data/my disk/a.db", mounts) == "xfs"
    assert _file_system("/over/a.db", mounts) == "cifs"
    assert _file_system("/a.db", tmp_path / "nothing") == ""
