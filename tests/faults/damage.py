"""Ways in which a file of the data directory can be found damaged, by name."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def random_bytes(path: Path) -> None:
    path.write_bytes(os.urandom(4096))


def missing(path: Path) -> None:
    path.unlink()


def newer(path: Path) -> None:
    written = json.loads(path.read_text())
    path.write_text(json.dumps({**written, "form": 99, "min_reader": 99}))


def wrongly_typed(path: Path) -> None:
    path.write_text('{"form": 1, "min_reader": 1, "identity": {"agent_id": ["not", "a", "text"], "cluster": 7}}')


def deeply_nested(path: Path) -> None:
    path.write_text("[" * 100_000)


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def unchangeable(path: Path) -> None:
    """Not even root may write to it, rename it or remove it."""
    subprocess.run(["chattr", "+i", str(path)], check=True, capture_output=True)


def changeable(path: Path) -> None:
    """Take `unchangeable` back."""
    subprocess.run(["chattr", "-R", "-i", str(path)], check=False, capture_output=True)


IDENTITY: dict[str, Callable[[Path], None]] = {
    "empty": empty,
    "truncated": truncated,
    "random bytes": random_bytes,
    "missing": missing,
    "newer form": newer,
    "wrongly typed": wrongly_typed,
    "deeply nested": deeply_nested,
    "a directory": a_directory,
}
"""What may have become of identity.json. (`unchangeable` has a story of its own: it has to be taken back.)"""
