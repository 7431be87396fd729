"""Which log lines are written when many say the same. Pure: it is told the time, and writes nothing.

Lines are counted by kind (event name, level) in windows of ten seconds. Of a kind so many pass, of the very same line a
few; the rest is counted, and when the window is over one line says how many there were. The first of a kind always
passes: a storm never hides that something new has begun.
"""

from dataclasses import dataclass, field

WINDOW = 10.0
MOST_SAME = 5
"""Lines of a window that may say the very same."""
MOST_GRAVE = 100
"""Lines of a window that may be warnings or errors of one name."""
MOST_OTHERS = 5000
GRAVE = frozenset({"warning", "error", "critical", "exception"})
MOST_KEPT = 4096
"""Different lines that are told apart within a window; more are counted by their kind alone."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What lines have in common. `source` is the library that a foreign line comes from."""

    event: str
    level: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """So many lines of a kind were not written, in so many seconds."""

    kind: Kind
    count: int
    seconds: float


@dataclass(slots=True)
class _Window:
    since: float
    passed: int = 0
    left_out: int = 0
    same: dict[int, int] = field(default_factory=dict)


class Sieve:
    """Owns the counts."""

    def __init__(self) -> None:
        self._windows: dict[Kind, _Window] = {}
        self._met: set[Kind] = set()

    def is_new(self, kind: Kind) -> bool:
        """Is this the first line of its kind?"""
        if kind in self._met:
            return False
        if (
            len(self._met) < MOST_KEPT
        ):  # names of events are few; whoever makes them up endlessly is not met with favour
            self._met.add(kind)
        return True

    def passes(self, kind: Kind, line: int, now: float) -> bool:
        """May a line be written? *line* stands for all that it says: a hash."""
        window = self._windows.get(kind)
        if window is None:
            window = self._windows[kind] = _Window(now)
        alike = window.same.get(line, 0)
        if alike or len(window.same) < MOST_KEPT:
            window.same[line] = alike + 1
        most = MOST_GRAVE if kind.level in GRAVE else MOST_OTHERS
        if alike >= MOST_SAME or window.passed >= most:
            window.left_out += 1
            return False
        window.passed += 1
        return True

    def close(self, now: float, *, all_of_them: bool = False) -> list[LeftOut]:
        """End the windows that are over, or all; gives what was left out of them."""
        over = [kind for kind, one in self._windows.items() if all_of_them or now - one.since >= WINDOW]
        ended = [(kind, self._windows.pop(kind)) for kind in over]
        return [LeftOut(kind, one.left_out, round(now - one.since, 1)) for kind, one in ended if one.left_out]
