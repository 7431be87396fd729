"""A program: sockets come and go on this host, as in a busy one. ``python -m tests.faults.churn_sockets FIRST LAST``.

Four kinds, each in a thread of its own: outgoing connections, whose ports the kernel chooses and keeps in TIME_WAIT;
listeners of TCP and holders of UDP on ports drawn out of FIRST to LAST, held for up to a fifth of a second each; and
connections from such ports, left in TIME_WAIT for a minute. Runs until its standard input is closed.
"""

import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

AT_ONCE = 150
"""Sockets of a kind that are held at a time."""
HELD = 0.2
PAUSE = 0.01
LINGERING = 300
"""Ports at most that are left in TIME_WAIT on purpose."""


class Churn:
    """What the threads share: a server to connect to, and the ports that they meddle with."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.over = threading.Event()
        self.counts = dict.fromkeys(("outgoing", "tcp", "udp", "time-wait"), 0)

    def serve(self) -> None:
        while not self.over.is_set():
            with suppress(OSError):
                connection, _ = self.server.accept()
                connection.recv(1)
                connection.close()

    def outgoing(self, chance: random.Random) -> None:
        with suppress(OSError), socket.create_connection(self.server.getsockname(), timeout=1):
            self.counts["outgoing"] += 1

    def tcp(self, chance: random.Random) -> None:
        self._hold(chance, socket.SOCK_STREAM, "tcp")

    def udp(self, chance: random.Random) -> None:
        self._hold(chance, socket.SOCK_DGRAM, "udp")

    def linger(self, chance: random.Random) -> None:
        """A connection from a port of ours, which is closed by our end first."""
        if self.counts["time-wait"] < LINGERING:
            with suppress(OSError), socket.socket() as caller:
                caller.bind(("127.0.0.1", chance.randint(self.first, self.last)))
                caller.settimeout(1)
                caller.connect(self.server.getsockname())
                self.counts["time-wait"] += 1

    def _hold(self, chance: random.Random, kind: int, name: str) -> None:
        with ExitStack() as held:
            for _ in range(AT_ONCE):
                holder = held.enter_context(socket.socket(socket.AF_INET, kind))
                with suppress(OSError):
                    holder.bind(("", chance.randint(self.first, self.last)))
                    if kind == socket.SOCK_STREAM:
                        holder.listen()
                    self.counts[name] += 1
            self.over.wait(chance.uniform(0, HELD))

    def repeat(self, act: Callable[[random.Random], None]) -> None:
        chance = random.Random(act.__name__)
        while not self.over.is_set():
            act(chance)
            self.over.wait(PAUSE)


def main() -> None:
    churn = Churn(int(sys.argv[1]), int(sys.argv[2]))
    acts = (churn.outgoing, churn.tcp, churn.udp, churn.linger)
    threads = [threading.Thread(target=churn.repeat, args=(act,), daemon=True) for act in acts]
    threading.Thread(target=churn.serve, daemon=True).start()
    for thread in threads:
        thread.start()
    print("churning", flush=True)  # noqa: T201 -- heard by who started us
    began = time.monotonic()
    sys.stdin.read()
    churn.over.set()
    for thread in threads:
        thread.join(timeout=2)
    print(f"{churn.counts} in {time.monotonic() - began:.1f} s", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
