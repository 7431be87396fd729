"""One agent per data directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent.model.errors import NOT_WORTH_A_RESTART, Fatal

_LONGEST_ID = 32


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the directory's lock, with our process id in it. The kernel frees a dead process's.

    Raises Fatal where another process has it.
    """
    path = data_dir / "lock"
    try:
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Fatal(f"cannot open {path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(lock, _LONGEST_ID).decode(errors="replace").strip() or "unknown"
            text = f"another agent is running on {data_dir}: process {holder} holds {path}"
            raise Fatal(text, NOT_WORTH_A_RESTART) from error
        _sign(lock)
        yield
    finally:
        os.close(lock)


def _sign(lock: int) -> None:
    """Say who holds the lock. It is held all the same where the disk is too full to say so."""
    with suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
