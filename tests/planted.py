"""Secrets must stay out of logs: this looks for all that the tests hand out, wherever a program of the suite wrote.

Made-up secrets begin with one of MARKS. Key pairs are read from the files in which control planes keep them, and what
cannot be known before, such as the keys of a role, a test hands to `note`.
"""

import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

MARKS = ("PLANTED", "hush-")
ROLE_TOKEN = "eyJ0YXNrIjoiYXJuOmF3czplY3M6"
"""How session tokens begin that a control plane makes itself: ``{"task":"arn:aws:ecs:`` in base64."""
SHORTEST = 8
_MEMBERS = re.compile(r'"(?:SecretAccessKey|secretAccessKey|Token|sessionToken)"\s*:\s*"([^"]+)"')

_noted: set[str] = set()
_said: list[str] = []


def note(*values: str) -> None:
    """Have *values* looked for too."""
    _noted.update(value for value in values if len(value) >= SHORTEST)


def note_credentials(text: str) -> None:
    """Have the secrets looked for that *text* holds, JSON as an AWS client reads it."""
    note(*_MEMBERS.findall(text))


def heard(where: str, text: str) -> None:
    """A test wrote *text*: to its standard streams, or by logging."""
    _said.extend(f"{where}: {line}" for line in lines_with(frozenset((*MARKS, ROLE_TOKEN, *_noted)), text))


def leaks(folder: Path) -> list[str]:
    """Lines with a secret: of logs anywhere below *folder*, and of what tests wrote. Each says where it stands."""
    values = frozenset((*MARKS, ROLE_TOKEN, *_noted, *_keys_below(folder)))
    found = list(_said)
    for path in _files(folder):
        if ".log" in path.name:
            found += [f"{path}: {line}" for line in lines_with(values, path.read_text(errors="replace"))]
    return found


def lines_with(values: frozenset[str], text: str) -> list[str]:
    """The lines of *text* in which one of *values* stands."""
    return [line for line in text.splitlines() if any(value in line for value in values)]


def _keys_below(folder: Path) -> Iterator[str]:
    for path in _files(folder):
        if path.name == "keys.json" or path.parent.name == "agent-keys":
            yield from _secrets(path.read_text(errors="replace"))


def _secrets(text: str) -> Iterator[str]:
    try:
        kept = json.loads(text)
    except ValueError:  # a test of files that hold something else
        return
    pairs = [kept, *kept.values()] if isinstance(kept, dict) else []
    for pair in pairs:
        if isinstance(pair, dict) and len(str(pair.get("secret_access_key", ""))) >= SHORTEST:
            yield str(pair["secret_access_key"])


def _files(folder: Path) -> Iterator[Path]:
    """Files that can be read; links lead elsewhere, and pipes would wait."""
    for path in chain([folder], folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path
