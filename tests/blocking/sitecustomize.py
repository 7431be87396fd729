"""Python reads this at the start of every program of a test run: it watches those that are ours."""

import os
import sys
from pathlib import Path

OURS = ("agent", "tests.blocking.planted")

if os.environ.get("BLOCKED_NOTES") and any(
    (flag, name) == ("-m", ours) for flag, name in zip(sys.orig_argv, sys.orig_argv[1:], strict=False) for ours in OURS
):
    root = str(Path(__file__).resolve().parents[2])
    sys.path.insert(0, root)
    from tests.blocking import watch

    watch.begin()
    sys.path.remove(root)
