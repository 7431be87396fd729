"""The files of metadata on the disk: a folder for each container, which is mounted in it.

A file is replaced whole, and the *folder* is what is mounted: so a reader in the container sees the old file or the new
one, and the new one as soon as it is there.
"""

import asyncio
import os
import re
import tempfile
from collections.abc import Collection
from pathlib import Path
from uuid import uuid4

import msgspec

from agent.endpoints.ports import FileState
from agent.model.names import TaskArn

FOLDER, NAME = "metadata", "ecs-container-metadata.json"
_READY = "READY"
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,255}")
_LONGEST = 1 << 20
_DEEPEST = 100_000
"""Folders within each other, beyond which a container's are left where they are."""
_FOLDER_MODE, _FILE_MODE = 0o755, 0o644
"""Whoever the container runs as may read."""


class _File(msgspec.Struct):
    status: str = msgspec.field(name="MetadataFileStatus", default="")


class MetadataFileDriver:
    """Fulfils the endpoints' `MetadataShelf` below *data_dir*."""

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir.absolute() / FOLDER

    async def begin(self, task: TaskArn, container: str, text: bytes) -> str:
        """Have a file, *text* unless there is one; gives its folder. Raises OSError."""
        return str(await asyncio.to_thread(self._begin, task, container, text))

    async def complete(self, task: TaskArn, container: str, text: bytes) -> None:
        """Replace the file. Raises OSError."""
        await asyncio.to_thread(self._replace, self._folder(task, container), text)

    async def state(self, task: TaskArn, container: str) -> FileState:
        """What is there. Raises OSError."""
        return await asyncio.to_thread(self._state, task, container)

    async def remove(self, task: TaskArn) -> None:
        """Remove all files of *task*. Absence is success. Raises OSError."""
        await asyncio.to_thread(self._remove, task)

    async def keep(self, tasks: Collection[TaskArn]) -> bool:
        """Remove the files of all other tasks; are there any left? Raises OSError."""
        return await asyncio.to_thread(self._keep, tasks)

    def _begin(self, task: TaskArn, container: str, text: bytes) -> Path:
        folder = self._folder(task, container)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(_FOLDER_MODE)
        if not (folder / NAME).exists():
            self._replace(folder, text)
        return folder

    def _replace(self, folder: Path, text: bytes) -> None:
        descriptor, new = tempfile.mkstemp(dir=folder, prefix=f".{NAME}.")  # a name that the container cannot know
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), _FILE_MODE)  # whatever the umask says
                file.write(text)
            Path(new).replace(folder / NAME)
        except OSError:
            Path(new).unlink(missing_ok=True)
            raise

    def _state(self, task: TaskArn, container: str) -> FileState:
        try:
            text = _read(self._folder(task, container) / NAME)
        except (FileNotFoundError, NotADirectoryError):
            return FileState.ABSENT
        try:
            status = msgspec.json.decode(text, type=_File).status
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            status = ""
        return FileState.READY if status == _READY else FileState.BEGUN

    def _remove(self, task: TaskArn) -> None:
        folder = self._of_task(task)
        if folder.is_dir():
            _clear(folder)
        for parent in folder.parents:
            if parent == self._root or self._root not in parent.parents:
                return
            try:
                parent.rmdir()
            except OSError:  # another task of the cluster has files
                return

    def _keep(self, tasks: Collection[TaskArn]) -> bool:
        kept = {self._of_task(task) for task in tasks if _is_plain(task)}
        for folder in [*self._root.glob("*/*"), *self._root.glob("*")]:
            if folder.is_symlink() or not folder.is_dir() or folder in kept or _holds(folder, kept):
                continue
            if not any(one in folder.parents for one in kept):
                _clear(folder)
        return any(self._root.glob("*"))

    def _folder(self, task: TaskArn, container: str) -> Path:
        if not _PLAIN.fullmatch(container):
            raise OSError(f"{container!r} is no name of a folder")
        return self._of_task(task) / container

    def _of_task(self, task: TaskArn) -> Path:
        """Where the files of a task are: under what its ARN has behind the first slash."""
        if not _is_plain(task):
            raise OSError("the ARN of the task has no names of folders in it")
        return self._root.joinpath(*_parts(task))


def _read(path: Path) -> bytes:
    """What is at *path*. The container may write there, too: a link is not followed, nor a pipe waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        return os.read(descriptor, _LONGEST)
    finally:
        os.close(descriptor)


def _clear(folder: Path) -> None:
    """Remove *folder* with all that is in it. Raises OSError.

    The container may have made folders in each other deeper than a recursion, a path or our open files reach: so each
    is emptied into the topmost one. It may still be at it, too: no link is followed.
    """
    top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for _ in range(_DEEPEST):
            if not (within := _emptied(top)):
                break
            for name in within:
                _lift(name, top)
        else:
            raise OSError(f"{folder} holds folders more than {_DEEPEST} deep")
    finally:
        os.close(top)
    folder.rmdir()


def _lift(name: str, top: int) -> None:
    """Remove the folder *name* in *top*, once those that it holds are in *top* themselves."""
    one = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        for inner in _emptied(one):
            os.rename(inner, uuid4().hex, src_dir_fd=one, dst_dir_fd=top)
    finally:
        os.close(one)
    os.rmdir(name, dir_fd=top)


def _emptied(one: int) -> list[str]:
    """Remove all but the folders in an open folder; their names."""
    with os.scandir(one) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        if not is_folder:
            os.unlink(name, dir_fd=one)
    return [name for name, is_folder in found if is_folder]


def _holds(folder: Path, kept: Collection[Path]) -> bool:
    return any(folder in one.parents for one in kept)


def _parts(task: TaskArn) -> list[str]:
    return task.partition("/")[2].split("/")


def _is_plain(task: TaskArn) -> bool:
    return all(_PLAIN.fullmatch(part) for part in _parts(task))
