"""What was measured, as a table to read and as JSON to keep."""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

KEPT_IN = Path(".dockworker/bench")


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was measured. `holds` is None where nothing was promised."""

    name: str
    value: str
    spread: str
    bound: str = ""
    holds: bool | None = None
    samples: dict[str, Sequence[float]] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        return {True: "holds", False: "MISSED", None: ""}[self.holds]


def over(name: str, ours: Sequence[float], bare: Sequence[float], *, percent: float | None, ms: float | None) -> Row:
    """What *ours* takes beyond *bare*, in seconds, round by round; the median round counts. One bound is enough.

    A round is measured side by side, so that a machine that grows slower in between is not laid to either.
    """
    rounds = list(zip(ours, bare, strict=True))
    extra, share = [1000 * (us - them) for us, them in rounds], [100 * (us / them - 1) for us, them in rounds]
    more_ms, more_percent = statistics.median(extra), statistics.median(share)
    bounds = [f"{percent:g} %" if percent is not None else "", f"{ms:g} ms" if ms is not None else ""]
    return Row(
        name,
        value=f"{more_percent:+.1f} %, {more_ms:+.1f} ms",
        spread=f"{min(share):+.1f} to {max(share):+.1f} %; ours {middle(ours)}; Docker {middle(bare)}",
        bound="at most +" + " or +".join(filter(None, bounds)),
        holds=(percent is not None and more_percent <= percent) or (ms is not None and more_ms <= ms),
        samples={"ours": ours, "docker": bare},
    )


def within(name: str, took: Sequence[float], ms: float) -> Row:
    """How long something took, in seconds: the median must stay within *ms*."""
    return Row(
        name,
        value=f"{statistics.median(took) * 1000:.1f} ms",
        spread=span(took),
        bound=f"within {ms:g} ms",
        holds=statistics.median(took) * 1000 <= ms,
        samples={"ours": took},
    )


def at_most(name: str, value: float, bound: float | None, unit: str, beside: str = "") -> Row:
    """One figure."""
    return Row(
        name,
        value=f"{value:.2f} {unit}",
        spread=beside,
        bound="" if bound is None else f"at most {bound:g} {unit}",
        holds=None if bound is None else value <= bound,
        samples={unit: [value]},
    )


def middle(values: Sequence[float]) -> str:
    """The median of *values*, which are seconds, with the lowest and the highest."""
    return f"{statistics.median(values) * 1000:.0f} ms ({min(values) * 1000:.0f} to {max(values) * 1000:.0f})"


def span(values: Sequence[float]) -> str:
    """The lowest and the highest of *values*, which are seconds."""
    return f"{min(values) * 1000:.1f} to {max(values) * 1000:.1f} ms"


def circumstances() -> dict[str, object]:
    """What must be known to compare two tables."""
    return {
        "commit": commit(),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "kernel": platform.release(),
        "processors": os.cpu_count(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def commit() -> str:
    """The commit that is measured; ``+`` if the tree holds more than it."""
    head = _git("rev-parse", "--short", "HEAD")
    return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=False).stdout.strip()


def text(head: dict[str, object], rows: Sequence[Row]) -> str:
    """The table."""
    cells = [("", "value", "spread", "bound", "verdict")]
    cells += [(row.name, row.value, row.spread, row.bound, row.verdict) for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return "\n".join((", ".join(f"{name} {value}" for name, value in head.items()), *lines))


def keep(head: dict[str, object], rows: Sequence[Row]) -> Path:
    """Write everything, the samples too; gives the file."""
    KEPT_IN.mkdir(parents=True, exist_ok=True)
    path = KEPT_IN / f"{time.strftime('%Y-%m-%dT%H%M%S', time.gmtime())}-{commit()}.json"
    path.write_text(json.dumps({**head, "rows": [asdict(row) for row in rows]}, indent=1))
    return path
