"""One control plane for one data directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE = "controlplane.lock"
OWNER_ONLY = 0o600


@contextmanager
def hold(data_dir: Path) -> Iterator[None]:
    """Hold *data_dir*, made if need be, until the block ends or the process dies.

    Raises BlockingIOError, which names the directory, while another process holds it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data_dir / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, OWNER_ONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(error.errno, f"another control plane uses {data_dir}") from error
        yield
    finally:
        os.close(descriptor)
