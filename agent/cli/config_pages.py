"""Writes anew what is made from the settings: ``python -m agent.cli.config_pages``, from the top of the project."""

import sys
from pathlib import Path

from agent.config import pages

EXAMPLE = "config.example.toml"
REFERENCE = "docs/configuration.md"


def main(top: Path) -> int:
    """Write the example and the tables of the reference page under *top*; gives the exit code."""
    (top / EXAMPLE).write_text(pages.example(), encoding="utf-8")
    page = (top / REFERENCE).read_text(encoding="utf-8")
    (top / REFERENCE).write_text(pages.filled(page), encoding="utf-8")
    print(f"{EXAMPLE}, {REFERENCE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
