"""Links of this machine, made for a moment."""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


def a_mac() -> str:
    """An address that no link has."""
    return ":".join(["0a", *(secrets.token_hex(1) for _ in range(5))])


@contextmanager
def a_link(mac: str) -> Iterator[None]:
    """A pair of virtual links, one of which has this address."""
    name = f"dw{secrets.token_hex(4)}"
    peer = ("type", "veth", "peer", "name", f"{name}p")
    subprocess.run(("ip", "link", "add", name, "address", mac, *peer), check=True)
    try:
        yield
    finally:
        subprocess.run(("ip", "link", "delete", name), check=True)
