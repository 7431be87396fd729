"""A socket before Docker's own that can be shut: then whoever asks Docker through it finds nobody there."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CHUNK = 1 << 16


class Gate:
    """Listens at `place`; while it is open, everything passes to *behind* and back."""

    def __init__(self, place: Path, behind: str) -> None:
        self.place = place
        self.host = f"unix://{place}"
        self._behind = behind
        self._listening: socket.socket | None = None
        self._ends: set[socket.socket] = set()
        self._guard = threading.Lock()

    def open(self) -> None:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(self.place))
        listening.listen(64)
        self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def shut(self) -> None:
        """Nobody listens any more, and every connection is over."""
        if self._listening is None:
            return
        self.place.unlink()
        for end in (self._listening, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._listening = None

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                caller, _ = listening.accept()
            except OSError:
                return
            callee = socket.socket(socket.AF_UNIX)
            callee.connect(self._behind)
            with self._guard:
                self._ends |= {caller, callee}
            for source, to in ((caller, callee), (callee, caller)):
                threading.Thread(target=self._pump, args=(source, to), daemon=True).start()

    def _pump(self, source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(CHUNK):
                to.sendall(piece)
        for end in (source, to):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._guard:
            self._ends -= {source}
        source.close()


@contextmanager
def a_gate(folder: Path, behind: str = "/var/run/docker.sock") -> Iterator[Gate]:
    """A gate that stands open, in *folder*."""
    gate = Gate(folder / "docker.sock", behind)
    gate.open()
    try:
        yield gate
    finally:
        gate.shut()
