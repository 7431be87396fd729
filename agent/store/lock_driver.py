"""One agent per data directory, per identity and, unless its operator wants more, per host.

The directory is held by a lock on a file in it, host and identity by abstract sockets: names that end with the process
that holds them, and that no damaged disk can take away. Whoever comes second is told the process id of the first.
"""

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from structlog import get_logger

from agent.model.clock import utc_now
from agent.model.errors import NOT_WORTH_A_RESTART, Fatal
from agent.store.db import OWNER_ONLY, set_aside

log = get_logger()

HOST = "\0dockworker-host"
AGENT = "\0dockworker-agent-"

_LONGEST_ID = 32
_WAITING = 4096
_PEER = struct.Struct("3i")
"""The kernel's `struct ucred`: process, user, group."""
_UNWRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT, errno.EIO})
_NO_FILE = frozenset({errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENOTDIR})


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the directory's lock, with our process id in it. The kernel frees a dead process's.

    Raises Fatal where another process has it.
    """
    path = data_dir / "lock"
    try:
        lock = _open(path)
    except OSError as error:
        raise Fatal(f"cannot open {path}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            text = f"another agent is running on {data_dir}: process {_holder_of(lock)} holds {path}"
            raise Fatal(text, NOT_WORTH_A_RESTART) from error
        _sign(lock)
        yield
    finally:
        os.close(lock)


@contextmanager
def only_on_host(*, shared: bool) -> Iterator[None]:
    """Be the only agent of this host. Raises Fatal where another is, unless the host is *shared*."""
    if shared:
        yield
        return
    with _name_of_our_own(HOST, "another agent is running on this host", "DOCKWORKER_SHARE_HOST=true lets both run"):
        yield


@contextmanager
def only_with_identity(agent_id: str) -> Iterator[None]:
    """Be the only one who is *agent_id*. Raises Fatal where the data directory is a copy of a live agent's."""
    with _name_of_our_own(AGENT + agent_id, f"another agent is running as {agent_id}", "is this a copy of its data?"):
        yield


def agent_of_host() -> int | None:
    """The process that is the only agent of this host; None where there is none, or it shares the host."""
    return (_holder(HOST) or (None, 0))[0] or None


def process_of(agent_id: str) -> int | None:
    """The process that holds the identity *agent_id*; None where nobody does, or it cannot be seen."""
    return (_holder(AGENT + agent_id) or (None, 0))[0] or None


def is_alive(agent_id: str) -> bool:
    """Does a process of this host hold the identity *agent_id*?"""
    return _holder(AGENT + agent_id) is not None


@contextmanager
def _name_of_our_own(name: str, says: str, hint: str) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as held:
        try:
            held.bind(name)
            held.listen(_WAITING)  # whoever comes asks by connecting who we are; nobody need answer
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise Fatal(f"cannot hold the name {name[1:]}: {error.strerror}") from error
            process, user = _holder(name) or (0, 0)
            if user not in (0, os.geteuid()):  # anybody may take a name: that must not keep an agent from its work
                log.warning("name_held_by_a_stranger", name=name[1:], process=process, user=user)
            else:
                raise Fatal(f"{says}: process {process or 'unknown'}; {hint}", NOT_WORTH_A_RESTART) from error
        yield


def _holder(name: str) -> tuple[int, int] | None:
    """The process and the user that hold an abstract socket; None where nobody does, zeros where they do not tell."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as question:
        question.settimeout(0)
        try:
            question.connect(name)
        except ConnectionRefusedError:
            return None
        except OSError:
            return 0, 0
        process, user, _ = _PEER.unpack(question.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        return process, user


def _open(path: Path) -> int:
    """The lock, whatever became of its file: one that is no file is set aside, on a disk that takes none the folder is.

    Raises OSError.
    """
    try:
        return _open_file(path)
    except OSError as error:
        if error.errno in _NO_FILE and path.parent.is_dir():
            aside = set_aside(path, utc_now())
            log.warning("lock_set_aside", path=str(path), aside=str(aside), error=error.strerror)
            return _open_file(path)
        if error.errno not in _UNWRITABLE:
            raise
    with suppress(FileNotFoundError):
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    return os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _open_file(path: Path) -> int:
    flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    return os.open(path, flags, OWNER_ONLY)


def _holder_of(lock: int) -> str:
    """Who holds the file, by the kernel's own list; by what is written in it where that does not say."""
    inode = os.fstat(lock).st_ino
    with suppress(OSError), Path("/proc/locks").open(encoding="ascii") as listed:
        for line in listed:
            words = line.split()
            if len(words) > 5 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode):  # noqa: PLR2004
                return words[4]
    with suppress(OSError):
        return os.pread(lock, _LONGEST_ID, 0).decode(errors="replace").strip() or "unknown"
    return "unknown"


def _sign(lock: int) -> None:
    """Say who holds the lock. It is held all the same where the disk is too full to say so."""
    with suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
