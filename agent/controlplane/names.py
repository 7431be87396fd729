"""What names may look like, and which one is used twice."""

import re
from collections.abc import Iterable

NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
"""The names of clusters, families, containers and volumes."""


def repeated(names: Iterable[str]) -> str:
    """The first of *names* that has come before; empty if all differ."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""
