"""Nothing of the agent may block its event loop. What does, here or in a program that a test starts, is written down.

blockbuster knows which calls block, and would raise. An agent is built to survive what goes wrong in an act, and a test
of it would then tell of something else; so here the call goes through, and the notes fail the test.
"""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

from blockbuster import BlockBuster, BlockBusterFunction

NOTES = "BLOCKED_NOTES"
"""The variable that names the file of notes; it is handed down to the programs that a test starts."""
HOOK = Path(__file__).parent
TESTS, AGENT = (str(HOOK.parents[1] / folder) for folder in ("tests", "agent"))
ALSO = ("os.open", "os.fsync", "os.fdatasync", "builtins.open", "io.open", "socket.getaddrinfo", "fcntl.flock")
"""What may wait for a disk, a name server or a lock, beside the functions that blockbuster knows."""
MAY_BLOCK = (
    ("linecache.py", {"updatecache"}),  # who prints a traceback reads the source for it; that is where there is a bug
    ("tokenize.py", {"open"}),
    ("asyncio/base_events.py", {"subprocess_exec"}),  # opens /dev/null and a pipe
    ("structlog/_output.py", {"msg"}),  # a log that is not a service's: those are written by threads
)
SHOWN = 10

LOOKS_ON = "/hypothesis/"
"""Watches which lines are run, from within them."""

MayBlock = Callable[..., bool]
Allowed = Iterable[tuple[str, Iterable[str]]]


def notes() -> Path:
    """The file of this run's notes."""
    return Path(os.environ[NOTES])


def hand_down(file: Path) -> None:
    """Have the programs of ours that are started from here on watched, and their notes put into *file*."""
    os.environ[NOTES] = str(file)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HOOK), *filter(None, [os.environ.get("PYTHONPATH")])])


def begin() -> BlockBuster:
    """Watch this process."""
    watched = BlockBuster()
    watched.functions |= {name: BlockBusterFunction(None, name) for name in ALSO}
    told: set[str] = set()
    for name, function in watched.functions.items():
        allowed = [*function.can_block_functions, *MAY_BLOCK]
        function.can_block_predicate = _noting(name, function.can_block_predicate, allowed, told)
    watched.activate()
    return watched


def _noting(name: str, may_block: MayBlock, allowed: Allowed, told: set[str]) -> MayBlock:
    """Lets every call through, and writes down what blocks: each place once."""

    def look(*args: object, **kwargs: object) -> bool:
        if not may_block(*args, **kwargs) and (stack := _culprits(allowed)):
            text = "\n    ".join([f"{name} blocks an event loop of {' '.join(sys.orig_argv[:4])}", *stack[:SHOWN]])
            if text not in told:
                told.add(text)
                with notes().open("a") as file:  # what this does is not looked at
                    file.write(text + "\n")
        return True

    return look


def _culprits(allowed: Allowed) -> list[str]:
    """The stack, innermost first, if the agent is in it, nobody who may block, and no test that the agent called."""
    frame: FrameType | None = sys._getframe(3)
    stack, is_ours = [], False
    while frame is not None:
        code = frame.f_code
        if any(code.co_filename.endswith(file) and code.co_name in functions for file, functions in allowed):
            return []
        if not is_ours and (code.co_filename.startswith(TESTS) or LOOKS_ON in code.co_filename):
            return []
        is_ours |= code.co_filename.startswith(AGENT)
        stack.append(f"{code.co_filename}:{frame.f_lineno} in {code.co_name}")
        frame = frame.f_back
    return stack if is_ours else []
