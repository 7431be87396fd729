"""Small files that are replaced whole: after a crash there is the old one or the new one, never a half."""

import os
from pathlib import Path

from agent.store.db import OWNER_ONLY


def replace_whole(path: Path, text: bytes) -> None:
    """Have *text* at *path*, readable by its owner alone; returns when it is on the disk. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)  # left by a crash, perhaps with another mode
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)
