"""Cgroups of tasks: a directory with limits, under which Docker puts the task's containers.

On cgroup v1 the directory is made in every mounted hierarchy, because Docker wants its parent in each. On v2 systemd
owns the tree where it is process 1: there it is asked for a slice, and elsewhere the directory is made by hand.
"""

import asyncio
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from agent.host import cgroup
from agent.model.acts import CreateCgroup, Limits, RemoveCgroup
from agent.model.errors import GiveUp, TryAgain

ERROR = "CgroupError"
ROOT = Path("/sys/fs/cgroup")
SYSTEMD_RUNS = Path("/run/systemd/system")
"""Is there exactly while systemd is process 1 (sd_booted)."""

SYSTEMD_PATIENCE = 30.0
SLICE_APPEARS_WITHIN = 5.0
LOOK_EVERY = 0.02

_UNIFIED = "cgroup.controllers"
"""A file that every directory of v2 has, and none of v1."""
_SUBTREE = "cgroup.subtree_control"
_MEMBERS = "cgroup.procs"
_CPUSET = ("cpuset.cpus", "cpuset.mems")
_HIERARCHY = "memory.use_hierarchy"
_MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")


class CgroupDriver:
    """Fulfils the runner's `Cgroups`. *root* is ``ECS_CGROUP_PATH``; *systemd* None finds out who owns the tree."""

    def __init__(
        self, version: int = 1, root: Path = ROOT, *, systemd: bool | None = None, busctl: str = "busctl"
    ) -> None:
        self._version = version
        self._root = root
        self._by_systemd = version == 2 and (SYSTEMD_RUNS.is_dir() if systemd is None else systemd)  # noqa: PLR2004
        self._busctl = busctl

    async def create(self, act: CreateCgroup) -> None:
        """Create and limit. One that is there gets the limits anew. Raises GiveUp."""
        if self._by_systemd:
            await self._create_slice(_slice(act.path), act.limits)
        elif self._version == 1:
            await asyncio.to_thread(self._create_v1, act.path, act.limits)
        else:
            await asyncio.to_thread(self._create_v2, _slice(act.path), act.limits)

    async def remove(self, act: RemoveCgroup) -> None:
        """Remove, with what is left below. Absent is success. Raises TryAgain while processes are in it, or GiveUp."""
        if self._by_systemd:
            await self._remove_slice(_slice(act.path))
            return
        await asyncio.to_thread(self._remove_all, act.path)

    def _remove_all(self, path: str) -> None:
        _remove_all(self._places_v1(path) if self._version == 1 else [self._root / _slice(path)])

    def probe(self) -> str:
        """Why tasks cannot have cgroups on this machine; ``""`` if they can."""
        try:
            if self._version != 1:
                _require(self._root, ("cpu", "memory"))
                return self._lack_of_v2()
            hierarchies = self._hierarchies()
            for controller in ("cpu", "memory"):
                _named(hierarchies, controller, self._root)
            for place in hierarchies:
                if not os.access(place, os.W_OK):
                    return f"cannot write to {place}"
        except GiveUp as error:
            return str(error)
        return ""

    def _lack_of_v2(self) -> str:
        if self._by_systemd:  # as where the agent runs in a container, and systemd outside of it
            return "" if shutil.which(self._busctl) else f"systemd makes cgroups here, and there is no {self._busctl}"
        place = self._root / _SUBTREE
        return "" if os.access(place, os.W_OK) else f"cannot write {place}"

    # v1

    def _create_v1(self, path: str, limits: Limits) -> None:
        hierarchies = self._hierarchies()
        folders = _folders(path)
        for place in hierarchies:
            _make_v1(place, folders.parts)
        for controller, writes in cgroup.v1_writes(limits).items():
            place = _named(hierarchies, controller, self._root) / folders
            for name, value in writes:
                _write(place / name, value)

    def _places_v1(self, path: str) -> list[Path]:
        folders = _folders(path)
        return [place / folders for place in (*self._hierarchies(), *self._hybrid())]

    def _hierarchies(self) -> dict[Path, frozenset[str]]:
        """The mounted hierarchies and the names of their controllers; two names may lead to one directory."""
        found: dict[Path, set[str]] = {}
        try:
            for place in sorted(self._root.iterdir()):
                if (place / _MEMBERS).exists() and not (place / _UNIFIED).exists():
                    found.setdefault(place.resolve(), set()).update(place.name.split(","))
        except OSError as error:
            raise _gave_up("read", self._root, error) from error
        if not found:
            raise GiveUp(ERROR, f"no cgroup controller is mounted below {self._root}")
        return {place: frozenset(names) for place, names in found.items()}

    def _hybrid(self) -> list[Path]:
        """A tree of v2 that is mounted beside those of v1: container runtimes leave directories in it."""
        return [file.parent for file in self._root.glob(f"*/{_UNIFIED}")]

    # v2

    def _create_v2(self, name: str, limits: Limits) -> None:
        writes = cgroup.v2_writes(limits)
        wanted = ("cpu", "memory", "pids") if limits.pids else ("cpu", "memory")
        _require(self._root, wanted)
        enabled = _read(self._root / _SUBTREE).split()
        missing = [f"+{controller}" for controller in wanted if controller not in enabled]
        if missing:
            _write(self._root / _SUBTREE, " ".join(missing))
        place = self._root / name
        _make(place)
        for file, value in writes:
            _write(place / file, value)

    async def _create_slice(self, name: str, limits: Limits) -> None:
        wanted = cgroup.properties(limits)
        listed = (str(len(wanted)), *(word for one in wanted for word in one))
        answer = await self._call("StartTransientUnit", "ssa(sv)a(sa(sv))", name, "fail", *listed, "0")
        if "already exists" in answer or "already loaded" in answer:
            answer = await self._call("SetUnitProperties", "sba(sv)", name, "true", *listed)
        if answer:
            raise GiveUp(ERROR, f"systemd did not make {name}: {answer}")
        place = self._root / cgroup.slice_folders(name)
        try:
            async with asyncio.timeout(SLICE_APPEARS_WITHIN):
                while not await asyncio.to_thread(place.is_dir):  # noqa: ASYNC110 -- the kernel tells nobody
                    await asyncio.sleep(LOOK_EVERY)
        except TimeoutError as error:
            raise GiveUp(ERROR, f"systemd said that it made {name}, and {place} is not there") from error
        await asyncio.to_thread(_require, place, ("cpu", "memory"))

    async def _remove_slice(self, name: str) -> None:
        place = self._root / cgroup.slice_folders(name)
        if not await asyncio.to_thread(_is_empty, place):
            return
        answer = await self._call("StopUnit", "ss", name, "replace")
        if answer and "not loaded" not in answer:
            raise TryAgain(f"systemd did not remove {name}: {answer}", ERROR)

    async def _call(self, method: str, *arguments: str) -> str:
        """Ask systemd; gives what it has against it, ``""`` for nothing."""
        command = (self._busctl, "call", "--system", *_MANAGER, method, *arguments)
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
            )
        except OSError as error:
            raise GiveUp(ERROR, f"cannot run {self._busctl}: {_said(error)}") from error
        try:
            async with asyncio.timeout(SYSTEMD_PATIENCE):
                _, told = await process.communicate()
        except TimeoutError as error:
            raise GiveUp(ERROR, f"systemd did not answer {method} within {SYSTEMD_PATIENCE:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return "" if process.returncode == 0 else told.decode(errors="replace").strip() or f"{method} failed"


def _is_empty(place: Path) -> bool:
    """Is the cgroup there, without a process? Raises TryAgain where processes are in it."""
    if not place.is_dir():
        return False
    if "populated 1" in _read(place / "cgroup.events"):
        raise TryAgain(f"cannot remove {place}: processes are in it", ERROR)
    return True


def _make_v1(hierarchy: Path, folders: tuple[str, ...]) -> None:
    above = hierarchy
    for folder in folders:
        place = above / folder
        _make(place)
        for name in _CPUSET:  # a cpuset without processors and memory takes no process in
            if (place / name).exists() and not _read(place / name).strip():
                _write(place / name, _read(above / name).strip())
        if (place / _HIERARCHY).exists() and _read(place / _HIERARCHY).strip() != "1":
            _write(place / _HIERARCHY, "1")
        above = place


def _make(place: Path) -> None:
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        raise _gave_up("make", place, error) from error


def _write(file: Path, value: str) -> None:
    try:
        handle = os.open(file, os.O_WRONLY | os.O_TRUNC)  # never O_CREAT: what the kernel does not offer is an error
        try:
            os.write(handle, value.encode())
        finally:
            os.close(handle)
    except OSError as error:
        raise _gave_up(f"write {value} to", file, error) from error


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except OSError as error:
        raise _gave_up("read", file, error) from error


def _require(place: Path, controllers: tuple[str, ...]) -> None:
    offered = _read(place / _UNIFIED).split()
    missing = [controller for controller in controllers if controller not in offered]
    if missing:
        raise GiveUp(ERROR, f"{place / _UNIFIED} does not offer {' and '.join(missing)}")


def _named(hierarchies: dict[Path, frozenset[str]], controller: str, root: Path) -> Path:
    for place, names in hierarchies.items():
        if controller in names:
            return place
    raise GiveUp(ERROR, f"the {controller} controller is not mounted below {root}")


def _remove_all(places: list[Path]) -> None:
    for place in places:
        for folder in _upwards(place):
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno in (errno.EBUSY, errno.ENOTEMPTY):
                    raise TryAgain(f"cannot remove {folder}: {_said(error)}", ERROR) from error
                raise _gave_up("remove", folder, error) from error


def _upwards(place: Path) -> Iterator[Path]:
    """The directories below *place*, the deepest first, and *place* itself. No link is followed."""
    try:
        below = [Path(entry.path) for entry in os.scandir(place) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    except OSError as error:
        raise _gave_up("read", place, error) from error
    for folder in below:
        yield from _upwards(folder)
    yield place


def _folders(path: str) -> Path:
    folders = cgroup.folders(path)
    if folders is None:
        raise GiveUp(ERROR, f"{path!r} is no cgroup of a task")
    return Path(folders)


def _slice(path: str) -> str:
    if not cgroup.is_slice(path):
        raise GiveUp(ERROR, f"{path!r} is no slice of a task")
    return path


def _gave_up(verb: str, place: Path, error: OSError) -> GiveUp:
    return GiveUp(ERROR, f"cannot {verb} {place}: {_said(error)}")


def _said(error: OSError) -> str:
    return f"{error.strerror} ({errno.errorcode.get(error.errno or 0, error.errno)})"
