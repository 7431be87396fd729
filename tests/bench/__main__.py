"""``make bench``: what Dockworker adds to bare Docker, in interleaved rounds of one run.

``python -m tests.bench start edges`` measures these alone. Ends with 1 if a bound is missed.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from agent.docker.engine_driver import DEFAULT_HOST
from tests.bench.measures import MEASURES
from tests.bench.stand import a_stand
from tests.bench.table import Row, at_most, circumstances, keep, text
from tests.sample_image import sample_image


def main() -> int:
    """Measure, print a table, keep the samples."""
    parser = argparse.ArgumentParser(prog="tests.bench", description="What Dockworker adds to bare Docker.")
    parser.add_argument("measures", nargs="*", help=f"any of {', '.join(MEASURES)}; all without a name")
    asked = parser.parse_args().measures
    if unknown := set(asked) - set(MEASURES):
        parser.error(f"there is no measure {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder, sample_image(DEFAULT_HOST):
        return asyncio.run(_measure(asked or list(MEASURES), Path(folder)))


async def _measure(names: list[str], folder: Path) -> int:
    rows: list[Row] = []
    began = time.monotonic()
    head = circumstances()
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr)
        (place := folder / name).mkdir()
        async with a_stand(place) as stand:  # an agent without a past for each
            head["engine"] = (await stand.docker.version())["Version"]
            if name == names[0]:
                rows.append(at_most("the agent, from its start to its connection", stand.ready_after, None, "s"))
            rows += [row async for row in MEASURES[name](stand)]
    head["took"] = f"{time.monotonic() - began:.0f} s"
    print(text(head, rows))
    print(f"all samples: {keep(head, rows)}")
    return 0 if all(row.holds is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
