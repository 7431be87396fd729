"""Start the daemons without what only people need.

structlog imports rich, with pygments behind it, wherever it is installed, to draw tracebacks that the daemons never
draw: 5 MiB and 50 ms of every start.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def without_rich() -> Iterator[None]:
    """Inside this block ``import rich`` fails as if it were not installed, unless somebody has imported it before."""
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment] # None is how Python spells "absent"
    if "rich" in modules:
        yield
        return
    modules["rich"] = None
    try:
        yield
    finally:
        del modules["rich"]
