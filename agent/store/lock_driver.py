"""One agent per data directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.model.errors import Fatal


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the directory's lock. Raises Fatal where another process has it; the kernel frees a dead one's."""
    path = data_dir / "lock"
    try:
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Fatal(f"cannot open {path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Fatal(f"another agent is running on {data_dir} (it holds {path})") from error
        yield
    finally:
        os.close(lock)
