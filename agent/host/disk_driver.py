"""How full the file systems are that hold Docker's root directory and our own data.

A file system that does not answer (a network's, a dying disk's) holds nobody up: each is asked on a thread of its own,
which may hang for ever, and is asked nothing more while it does. Such a thread does not keep the process from ending.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agent.images.ports import Fullness, Look

PATIENCE = 2.0
"""Seconds within which a file system must say how full it is."""

OF_THE_HOST = (Path("/"), Path("/host"), Path("/rootfs"))
"""Where the host's own root may be seen from inside a container."""

Measure = Callable[[], Fullness | None]


class DiskDriver:
    """Asks both file systems. Fulfils the images' `Disks`."""

    def __init__(self, data_dir: Path, docker_root: Path | None, *, patience: float = PATIENCE) -> None:
        self._data = _Asked(str(data_dir), lambda: fullness(data_dir))
        self._docker = None if docker_root is None else _Asked(str(docker_root), lambda: _of_docker(docker_root))
        self._patience = patience

    async def look(self) -> Look:
        """How full they are, as far as they answer in time."""
        asked = [one for one in (self._docker, self._data) if one is not None]
        answers = await asyncio.gather(*(one.answer(self._patience) for one in asked))
        silent = tuple(one.path for one, answer in zip(asked, answers, strict=True) if answer is _SILENT)
        docker, data = answers if self._docker is not None else (None, *answers)
        return Look(
            docker=docker if isinstance(docker, Fullness) else None,
            data=data if isinstance(data, Fullness) else None,
            silent=silent,
        )


def root_of(docker_host: str, root_dir: str) -> Path | None:
    """Docker's root directory as it calls it; None where that is on a machine that need not be this one."""
    is_here = docker_host.startswith("unix://") and root_dir.startswith("/")
    return Path(root_dir) if is_here else None


def fullness(path: Path) -> Fullness:
    """How full the file system is that holds *path*. Raises OSError. May hang."""
    found = os.statvfs(path)
    used = found.f_blocks - found.f_bfree
    nodes = found.f_files - found.f_ffree
    return Fullness(
        path=str(path),
        device=path.stat().st_dev,
        bytes_used=_share(used, used + found.f_bavail),
        inodes_used=_share(nodes, nodes + found.f_favail),
        bytes_free=found.f_bavail * found.f_frsize,
    )


def _share(used: int, of: int) -> float:
    """In per cent, as ``df`` counts it; some file systems count no inodes, and those are never short of them."""
    return 100 * used / of if of > 0 else 0.0


def _of_docker(root: Path) -> Fullness | None:
    """That of Docker's root, wherever the host's root is seen from here; None where it is not."""
    for host in OF_THE_HOST:
        seen = host / root.relative_to("/")
        if _is_dockers(seen):
            return fullness(seen)
    return None


def _is_dockers(path: Path) -> bool:
    """An empty directory of that name, as images have it, is not Docker's. What may not be looked into may be."""
    try:
        return (path / "containers").is_dir()
    except PermissionError:
        return True


class _Silent:
    """Stands for the answer that did not come."""


_SILENT = _Silent()


class _Asked:
    """One file system, which is asked one thing at a time."""

    def __init__(self, path: str, measure: Measure) -> None:
        self.path = path
        self._measure = measure
        self._open: asyncio.Future[Fullness | None] | None = None

    async def answer(self, patience: float) -> Fullness | _Silent | None:
        """What it says; None where there is nothing to be measured."""
        asked = self._open = self._open or self._ask()
        try:
            async with asyncio.timeout(patience):
                found = await asyncio.shield(asked)
        except TimeoutError:
            return _SILENT
        except OSError:
            found = None
        if self._open is asked:
            self._open = None
        return found

    def _ask(self) -> asyncio.Future[Fullness | None]:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Fullness | None] = loop.create_future()
        threading.Thread(target=_measure, args=(self._measure, loop, answered), name="disk", daemon=True).start()
        return answered


def _measure(measure: Measure, loop: asyncio.AbstractEventLoop, answered: "asyncio.Future[Fullness | None]") -> None:
    found, error = None, None
    try:
        found = measure()
    except Exception as met:  # noqa: BLE001 -- whoever asked hears of it, a bug too
        error = met
    with suppress(RuntimeError):  # the loop has ended meanwhile, and nobody waits
        loop.call_soon_threadsafe(_say, answered, found, error)


def _say(answered: "asyncio.Future[Fullness | None]", found: Fullness | None, error: Exception | None) -> None:
    if answered.cancelled():
        return
    if error is not None:
        answered.set_exception(error)
    else:
        answered.set_result(found)
