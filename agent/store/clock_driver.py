"""The last look at the clocks, in a small file: so a clock that was set while nobody ran is noticed at the next start.

It is worth something only until the machine is started again, so no flush to the disk is waited for, and a file that is
lost or makes no sense costs nothing but that.
"""

import os
from pathlib import Path

import msgspec
from structlog import get_logger

from agent.model.clock import Reading
from agent.store.db import OWNER_ONLY

log = get_logger()

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Is another one after each start of the machine (Linux, random(4))."""


class Written(msgspec.Struct, frozen=True):
    """What the file holds."""

    boot: str
    reading: Reading


class ClockFile:
    """The file at *path*. Raises nothing for what the disk says."""

    def __init__(self, path: Path, boot_id: Path = BOOT_ID) -> None:
        self._path = path
        self._boot_id = boot_id

    def read(self) -> Reading | None:
        """The last look that was kept since the machine was started; None without any."""
        try:
            written = msgspec.json.decode(self._path.read_bytes(), type=Written)
            boot = self._boot()
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            log.info("clock_file_not_read", path=str(self._path), error=str(error))
            return None
        is_whole = written.reading.wall.tzinfo is not None and bool(boot)
        return written.reading if is_whole and written.boot == boot else None

    def write(self, reading: Reading) -> None:
        """Keep *reading* in place of the one before."""
        try:
            text = msgspec.json.encode(Written(self._boot(), reading))
            new = self._path.with_name(self._path.name + ".new")
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
            new.replace(self._path)
        except OSError as error:
            log.info("clock_file_not_written", path=str(self._path), error=str(error))

    def _boot(self) -> str:
        return self._boot_id.read_text(encoding="ascii").strip()
