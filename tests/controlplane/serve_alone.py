"""A control plane in a process of its own, for tests that kill it: ``python -m tests.controlplane.serve_alone DIR``."""

import asyncio
import sys
from pathlib import Path

from agent.controlplane.service_loop import serve
from agent.controlplane.settings import PlaneAddress, PlaneSettings


def told(address: PlaneAddress) -> None:
    print(address.url, file=sys.stderr, flush=True)  # noqa: T201  # the test reads it


if __name__ == "__main__":
    settings = PlaneSettings(data_dir=Path(sys.argv[1]), listen_port=0)
    asyncio.run(serve(settings, ready=told, told_to_stop=asyncio.Event()))
