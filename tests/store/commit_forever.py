"""A program to be killed: commits two tasks and a report at a time, and says which commits were acknowledged."""

import asyncio
import itertools
import sys
from pathlib import Path

from agent.model.decision import Decision
from agent.store.journal_driver import Journal
from tests.store.made_up import a_report, a_task


async def main(path: Path) -> None:
    async with Journal.open(path) as journal:
        for number in itertools.count(1):
            await journal.commit(
                Decision(
                    tasks=(a_task("a", seq=number), a_task("b", seq=number)),
                    reports=(a_report("a", reason=str(number)),),
                )
            )
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
