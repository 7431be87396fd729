"""Says hello over TCP, to whoever has a port of a certain number. Run, it does so at the address of credentials."""

import socket
import sys
from contextlib import closing
from threading import Thread

KNOWN = "169.254.170.2"


def answers(address: str, port: int, asker: int = 0) -> bool:
    """Does somebody who listens there hear, and is he heard?"""
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    with closing(socket.create_server((address, port), family=kind)) as server:
        greeter = Thread(target=_greet, args=(server,))
        greeter.start()
        try:
            return _is_greeted(kind, address, port, asker)
        finally:
            server.shutdown(socket.SHUT_RDWR)
            greeter.join()


def _is_greeted(kind: socket.AddressFamily, address: str, port: int, asker: int) -> bool:
    with socket.socket(kind) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind((address, asker))
        client.settimeout(0.3)
        try:
            client.connect((address, port))
            return client.recv(5) == b"hello"
        except TimeoutError:
            return False


def _greet(server: socket.socket) -> None:
    try:
        line, _ = server.accept()
    except OSError:
        return
    with line:
        line.sendall(b"hello")


if __name__ == "__main__":
    sys.stdout.write("answered\n" if answers(KNOWN, 80, asker=int(sys.argv[1])) else "cut\n")
