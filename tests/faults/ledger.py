"""A ledger of what ECS was told of tasks, and the check that every promise about it was kept.

Each transition stands in one report and no other; reports of a task come one after the other, in order; and a report
comes again, with the same words, only where its answer was lost: on the wire, or with a process that was killed before
it could note the answer.
"""

import json
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any

NOTED_WITHIN = 2.0
"""Seconds in which an agent notes an answer. One that is killed within them may have lost it."""


class Fate(StrEnum):
    """What became of a call."""

    OPEN = "open"
    TAKEN = "taken"
    """The answer, a success, left for the agent."""
    LOST = "lost"
    """The control plane heard it, the agent not the answer."""
    UNHEARD = "unheard"
    """It never came to the control plane."""
    REFUSED = "refused"
    """The answer was an error."""


@dataclass
class Entry:
    """One SubmitTaskStateChange. Moments are on the monotonic clock."""

    number: int
    body: dict[str, Any]
    text: str
    """The body in one form for the same words."""
    began: float
    ended: float = float("inf")
    fate: Fate = Fate.OPEN
    is_final: bool = False
    """True where ECS refused the words for good (InvalidParameterException): they are not said again."""

    @property
    def task(self) -> str:
        return str(self.body["task"])

    @property
    def says(self) -> Iterator[tuple[str, str]]:
        """The transitions that it tells: a container, or "" for the task, and its state."""
        yield "", str(self.body["status"])
        for one in self.body.get("containers", ()):
            yield str(one["containerName"]), str(one["status"])

    def __str__(self) -> str:
        told = " ".join(f"{name or 'task'}={status}" for name, status in self.says)
        return f"#{self.number} {self.task.rpartition('/')[2][:8]} {told} ({self.fate}, at {self.began:.3f})"


@dataclass
class Ledger:
    """All calls in the order in which they came, and the moments at which the agent was killed."""

    entries: list[Entry] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def open(self, body: bytes) -> Entry:
        read = json.loads(body)
        with self._lock:
            entry = Entry(len(self.entries) + 1, read, json.dumps(read, sort_keys=True), time.monotonic())
            self.entries.append(entry)
        return entry

    def end(self, entry: Entry, fate: Fate, *, is_final: bool = False) -> None:
        entry.ended, entry.fate, entry.is_final = time.monotonic(), fate, is_final

    def note_kill(self) -> None:
        """The agent was killed now: to be called right after the kill."""
        self.kills.append(time.monotonic())

    def of(self, task: str) -> list[Entry]:
        return [entry for entry in list(self.entries) if entry.task == task]

    def taken(self, task: str) -> list[Entry]:
        """What ECS has taken of *task*."""
        return [entry for entry in self.of(task) if entry.fate is Fate.TAKEN]

    def told(self, task: str) -> list[str]:
        """The states of *task* that ECS has taken, in order."""
        return [str(entry.body["status"]) for entry in self.taken(task)]

    def check(self) -> None:
        """Raise AssertionError with everything that is wrong, and the calls that show it."""
        entries = list(self.entries)
        wrong: list[str] = []
        for task in dict.fromkeys(entry.task for entry in entries):
            wrong += wrong_about([entry for entry in entries if entry.task == task], self.kills)
        assert not wrong, "\n".join(wrong)


def wrong_about(entries: Sequence[Entry], kills: Iterable[float] = ()) -> list[str]:
    """What is wrong with the calls about one task, in the order in which they came."""
    moments = tuple(kills)
    return [*_overlaps(entries, moments), *_repeats(entries, moments), *_told_twice(entries), *_goes_back(entries)]


def _overlaps(entries: Sequence[Entry], kills: Sequence[float]) -> Iterator[str]:
    for one, other in pairwise(entries):
        if other.began < one.ended and not any(one.began <= kill <= other.began for kill in kills):
            yield f"{other} began before {one} was answered"


def _repeats(entries: Sequence[Entry], kills: Sequence[float]) -> Iterator[str]:
    for one, other in pairwise(entries):
        if other.text == one.text:
            was_killed = any(one.began <= kill <= min(one.ended + NOTED_WITHIN, other.began) for kill in kills)
            if one.fate is Fate.TAKEN and not was_killed:
                yield f"{other} repeats {one}, whose answer was not lost"
        elif one.fate is not Fate.TAKEN and not one.is_final:
            yield f"{other} came though {one} was not taken"
    seen: dict[str, int] = {}
    for place, entry in enumerate(entries):
        before = seen.get(entry.text)
        if before is not None and any(between.text != entry.text for between in entries[before:place]):
            yield f"{entry} comes again after others"
        seen[entry.text] = place


def _told_twice(entries: Sequence[Entry]) -> Iterator[str]:
    teller: dict[tuple[str, str], Entry] = {}
    texts: set[str] = set()
    for entry in entries:
        if entry.text in texts:
            continue
        texts.add(entry.text)
        news = 0
        for transition in entry.says:
            before = teller.setdefault(transition, entry)
            news += before is entry
            is_old_container = before is not entry and transition[0]
            is_old_end = before is not entry and transition == ("", "STOPPED")
            if is_old_container or is_old_end:
                yield f"{entry} tells {transition} once more, after {before}"
        if not news:
            yield f"{entry} tells nothing new"


def _goes_back(entries: Sequence[Entry]) -> Iterator[str]:
    order = ("PENDING", "RUNNING", "STOPPED")
    highest: dict[str, int] = {}
    texts: set[str] = set()
    for entry in entries:
        if entry.text in texts:
            continue
        texts.add(entry.text)
        for name, status in entry.says:
            place = order.index(status) if status in order else 0
            if place < highest.get(name, 0):
                yield f"{entry} tells {status} of {name or 'the task'} after {order[highest[name]]}"
            highest[name] = max(place, highest.get(name, 0))
