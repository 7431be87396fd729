"""A program with a loop in which code of the agent reads a file, for a test to see that this is found."""

import asyncio
import sys
from pathlib import Path

from agent.host.facts_driver import read_port_range


async def main() -> None:
    read_port_range(Path(sys.argv[1]))


if __name__ == "__main__":
    asyncio.run(main())
