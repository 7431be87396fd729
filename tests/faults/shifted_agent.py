"""The agent as a whole process whose wall clock a story sets: ``python -m tests.faults.shifted_agent FILE run``.

FILE holds by how many seconds the clock is wrong; it is read at every look at the clock. Everything else is the program
itself: whatever in it asks for the time asks the one function that is replaced here before anybody has imported it.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.model import clock


def main() -> None:
    file = Path(sys.argv[1])
    clock.utc_now = lambda: datetime.now(UTC) + timedelta(seconds=float(file.read_text()))
    from agent.__main__ import main as run  # noqa: PLC0415 -- all others import the clock by its name

    sys.argv = ["dockworker", *sys.argv[2:]]
    run()


if __name__ == "__main__":
    main()
