"""Which links and disks the host shows, by what ECS knows them: MAC addresses and serial numbers.

The kernel's own files are read, and for disks whose driver shows no serial number there, what udev has found out.
"""

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path

SYSTEM = Path("/sys")
UDEV = Path("/run/udev/data")
SERIAL = "E:ID_SERIAL_SHORT="


class LinksDriver:
    """Looks at the host's links and disks. One that comes or goes meanwhile is seen or not; nothing is remembered."""

    def __init__(self, system: Path = SYSTEM, udev: Path = UDEV) -> None:
        self._system = system
        self._udev = udev

    async def keys(self) -> frozenset[str]:
        """The MAC addresses of all links of this network namespace, and the serial numbers of all whole disks."""
        return await asyncio.to_thread(self._keys)

    def _keys(self) -> frozenset[str]:
        links = (_read(link / "address").lower() for link in _inside(self._system / "class" / "net"))
        disks = (serial for disk in _inside(self._system / "block") for serial in self._serials(disk))
        return frozenset({*links, *disks} - {""})

    def _serials(self, disk: Path) -> Iterator[str]:
        """A disk of NVMe shows it below its device, one of virtio beside it."""
        yield _read(disk / "device" / "serial")
        yield _read(disk / "serial")
        number = _read(disk / "dev")
        if number:
            lines = _read(self._udev / f"b{number}").splitlines()
            yield from (line.removeprefix(SERIAL) for line in lines if line.startswith(SERIAL))


def _inside(folder: Path) -> Iterable[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # a kernel without such things
        return ()


def _read(path: Path) -> str:
    """What the file says; nothing where there is none, or none any more."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
