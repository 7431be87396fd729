"""What it means how full a disk is. Plain values in, plain values out."""

from collections.abc import Iterator
from dataclasses import dataclass

from agent.images.ports import Fullness, Look


@dataclass(frozen=True, slots=True)
class Marks:
    """Per cent of bytes or inodes: from `high` on room is made down to `low`, from `critical` on no task is taken."""

    low: float = 80
    high: float = 85
    critical: float = 95


def is_over(fullness: Fullness | None, mark: float) -> bool:
    """Has it come to the mark, or further?"""
    return fullness is not None and max(fullness.bytes_used, fullness.inodes_used) >= mark


def wants_room(look: Look, marks: Marks) -> bool:
    """Is it time to begin making room? Nothing of ours that could go makes any on another file system."""
    return is_over(look.gains, marks.high)


def has_room(look: Look, marks: Marks) -> bool:
    """Is there enough room, as far as is to be seen? Nothing is taken away in the dark."""
    gains = look.gains
    return gains is None or max(gains.bytes_used, gains.inodes_used) <= marks.low


def refusal(look: Look, marks: Marks) -> str:
    """Why no new task is taken; empty while they are."""
    return next(_critical(look, marks), "")


def _critical(look: Look, marks: Marks) -> Iterator[str]:
    for one in look.all:
        for share, what in ((one.bytes_used, "bytes"), (one.inodes_used, "inodes")):
            if share >= marks.critical:
                yield f"DiskPressure: {int(share)} % of {what} of {one.path} used, critical is {marks.critical:g} %"


def in_words(look: Look) -> dict[str, str]:
    """How full each is, for a line of the log."""
    return {one.path: f"{one.bytes_used:.1f} % of bytes, {one.inodes_used:.1f} % of inodes" for one in look.all}
