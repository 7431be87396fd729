"""A Docker Engine of a story's own, to be killed: containerd, dockerd, and every container of theirs.

Nothing of it meets another engine: root, state, sockets and pid file lie in a folder of its own, and a network
namespace of its own keeps its bridge and its rules apart (so a published port is reached from inside it alone).
Kills are SIGKILL. What is left at the end, shims, mounts and the namespace, is torn down by its ids.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from socket import AF_UNIX, socket
from threading import Event

from tests import sample_image

PATIENCE = 30.0
_CONTAINERD = """version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{folder}/containerd.sock"
"""


class OwnEngine:
    """An engine at `host` (a `DOCKER_HOST`); its data root is `data`, and the logs of its processes are in `folder`."""

    def __init__(self, folder: Path, options: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.socket = folder / "docker.sock"
        self.host = f"unix://{self.socket}"
        self._namespace = folder.name
        self._containerd_socket = folder / "containerd.sock"
        self._options = options
        self._containerd: subprocess.Popen[bytes] | None = None
        self._dockerd: subprocess.Popen[bytes] | None = None

    def build(self) -> None:
        """Make the namespace and the configuration. Starts nothing."""
        self.data.mkdir(exist_ok=True)
        (self.folder / "containerd.toml").write_text(_CONTAINERD.format(folder=self.folder))
        _run("ip", "netns", "add", self._namespace)
        _run("ip", "-n", self._namespace, "link", "set", "lo", "up")

    def start(self) -> None:
        """Start what does not run, and return once Docker answers."""
        if self._containerd is None:
            self.start_containerd()
        if self._dockerd is None:
            self.start_dockerd()

    def start_containerd(self) -> None:
        self._containerd = self._launch(
            "containerd", "--config", f"{self.folder}/containerd.toml", "--log-level", "warn"
        )
        self._wait("containerd", self._containerd, self._containerd_socket.is_socket)

    def start_dockerd(self, *, wait: bool = True) -> None:
        """Start dockerd; it answers on return, unless *wait* is False: then `wait_until_it_answers` tells."""
        (self.folder / "docker.pid").unlink(missing_ok=True)  # a killed one leaves it, and its id may be another's now
        self._dockerd = self._launch(
            "dockerd",
            "--data-root", f"{self.data}",
            "--exec-root", f"{self.folder}/exec",
            "--pidfile", f"{self.folder}/docker.pid",
            "--containerd", f"{self._containerd_socket}",
            "--host", self.host,
            "--log-level", "warn",
            *self._options,
        )  # fmt: skip
        if wait:
            self.wait_until_it_answers()

    def wait_until_it_answers(self) -> float:
        """Return once Docker answers, with the monotonic time of its answer."""
        assert self._dockerd is not None
        self._wait("dockerd", self._dockerd, self.answers)
        return time.monotonic()

    def kill_dockerd(self) -> None:
        _end(self._dockerd)
        self._dockerd = None

    def kill_containerd(self) -> None:
        _end(self._containerd)
        self._containerd = None
        self._containerd_socket.unlink(missing_ok=True)  # that it is there again says that the next one answers

    def kill_containers(self) -> None:
        """Kill every container with its shim, as a power cut does: nobody notes an exit code."""
        for shim in self.shims():
            for process in [shim, *_descendants(shim)]:
                _kill(process)

    def power_cut(self) -> None:
        """Kill all of it at once, and lose what a reboot loses: mounts and state below /run."""
        self.kill_dockerd()
        self.kill_containerd()
        self.kill_containers()
        self._unmount(but=self.data)
        for state in ("containerd-state", "exec"):
            shutil.rmtree(self.folder / state, ignore_errors=True)

    def shims(self) -> list[int]:
        """The processes that hold the containers of this engine."""
        mark = f"{self._containerd_socket}".encode()
        return [pid for pid, words in _processes() if b"containerd-shim" in words[0] and mark in words]

    def answers(self) -> bool:
        try:
            return self.ask("/_ping") == b"OK"
        except OSError:
            return False

    def ask(self, path: str) -> bytes:
        """What Docker answers to a GET, within 2 s. Raises OSError."""
        with socket(AF_UNIX) as line:
            line.settimeout(2)
            line.connect(str(self.socket))
            connection = HTTPConnection("docker")
            connection.sock = line
            connection.request("GET", path)
            return connection.getresponse().read()

    def docker(self, *words: str) -> str:
        """Run Docker's own command against this engine; what it printed."""
        return _run("docker", "--host", self.host, *words)

    def inside(self, *words: str) -> str:
        """Run a command in the engine's network namespace, where published ports are reached."""
        return _run("nsenter", f"--net=/run/netns/{self._namespace}", *words)

    def load_sample_image(self) -> None:
        """Import the tests' image; Docker must answer."""
        asyncio.run(sample_image.import_if_missing(self.host))

    def close(self) -> None:
        """End all of it, and take away what it left in the host."""
        _end(self._dockerd)
        self._dockerd = None
        _end(self._containerd)
        self._containerd = None
        self.kill_containers()
        self._unmount()
        subprocess.run(["ip", "netns", "delete", self._namespace], check=False, capture_output=True)

    def _launch(self, name: str, *words: str) -> "subprocess.Popen[bytes]":
        # not `ip netns exec`, which hides the cgroups behind a /sys of its own
        command = ["nsenter", f"--net=/run/netns/{self._namespace}", name, *words]
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def _wait(self, name: str, process: "subprocess.Popen[bytes]", question: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not question():
            log = self.folder / f"{name}.log"
            assert process.poll() is None, f"{name} ended: {log.read_text()[-2000:]}"
            assert time.monotonic() < end, f"{name} does not answer after {PATIENCE:g} s: {log.read_text()[-2000:]}"
            Event().wait(0.02)

    def _unmount(self, but: Path | None = None) -> None:
        """Unmount everything below the folder, deepest first. (dockerd makes its data root a mount of its own.)"""
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        points = [Path(line.split()[4]) for line in lines]
        for point in sorted((p for p in points if self.folder in p.parents and p != but), reverse=True):
            subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)


@contextmanager
def own_engine(*, live_restore: bool = False, tmpfs_mib: int = 0, options: tuple[str, ...] = ()) -> Iterator[OwnEngine]:
    """An engine that answers and holds the sample image; on a tmpfs of *tmpfs_mib* if that is not 0. Needs root."""
    folder = Path(tempfile.mkdtemp(prefix="dw-engine-"))  # short: a socket's path has at most 107 bytes
    engine = OwnEngine(folder, (*(("--live-restore",) if live_restore else ()), *options))
    try:
        engine.data.mkdir()
        if tmpfs_mib:
            _run("mount", "-t", "tmpfs", "-o", f"size={tmpfs_mib}m", "dw-engine", f"{engine.data}")
        engine.build()
        engine.start()
        engine.load_sample_image()
        yield engine
    finally:
        engine.close()
        shutil.rmtree(folder, ignore_errors=True)


def _run(*words: str) -> str:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def _end(process: "subprocess.Popen[bytes] | None") -> None:
    if process is not None:
        process.kill()
        process.wait(timeout=PATIENCE)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it may have gone with its parent
        os.kill(pid, signal.SIGKILL)


def _processes() -> Iterator[tuple[int, list[bytes]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it ended meanwhile
            yield int(entry.name), words


def _descendants(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(word) for thread in threads for word in (thread / "children").read_text().split()]
    except OSError:
        return []  # it ended meanwhile
    return children + [one for child in children for one in _descendants(child)]
