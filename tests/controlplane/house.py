"""A whole control plane on a free port for as long as a test needs it, and real clients to call it with."""

import asyncio
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from mypy_boto3_ecs import ECSClient

from agent.controlplane.keys_driver import KeyPair, KeyPairs, load_or_make
from agent.controlplane.service_loop import serve
from agent.controlplane.settings import Cadence, PlaneAddress, PlaneSettings

SETTLED = 10.0
"""Seconds that anything in these tests may take at most."""
QUICK = Cadence(heartbeat=0.3, resend=0.2, silence=5.0)


@dataclass(frozen=True, slots=True)
class House:
    """A running control plane."""

    address: PlaneAddress
    data_dir: Path
    keys: KeyPairs

    @property
    def url(self) -> str:
        return self.address.url

    def client(self, pair: KeyPair | None = None, region: str = "us-east-1") -> ECSClient:
        return client_of(self.url, pair or self.keys.operator, region)


def client_of(url: str, pair: KeyPair, region: str = "us-east-1") -> ECSClient:
    return boto3.client(
        "ecs",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=pair.access_key_id,
        aws_secret_access_key=pair.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=SETTLED, read_timeout=SETTLED),
    )


@contextmanager
def running(data_dir: Path, cadence: Cadence = QUICK, **settings: Any) -> Iterator[House]:  # noqa: ANN401  # as they are
    """Serve from a thread of its own, so that synchronous clients can call."""
    told: queue.Queue[PlaneAddress | BaseException] = queue.Queue()
    loops: queue.Queue[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = queue.Queue()
    wanted = PlaneSettings(data_dir=data_dir, listen_port=0, **settings)

    async def main() -> None:
        stop = asyncio.Event()
        loops.put((asyncio.get_running_loop(), stop))
        await serve(wanted, ready=told.put, told_to_stop=stop, cadence=cadence)

    def work() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001  # handed to the test's own thread
            told.put(error)

    thread = threading.Thread(target=work, name="controlplane")
    thread.start()
    loop, stop = loops.get(timeout=SETTLED)
    first = told.get(timeout=SETTLED)
    if isinstance(first, BaseException):
        thread.join(SETTLED)
        raise first
    try:
        yield House(first, data_dir, load_or_make(data_dir))
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(2 * SETTLED)
        assert not thread.is_alive(), "the control plane did not stop"
    if not told.empty():
        late = told.get_nowait()
        assert not isinstance(late, BaseException), late


def aws(house: House, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the AWS CLI as an operator would."""
    pair = house.keys.operator
    return subprocess.run(
        [str(Path(sys.executable).with_name("aws")), "ecs", *words],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(house.data_dir),
            "AWS_ACCESS_KEY_ID": pair.access_key_id,
            "AWS_SECRET_ACCESS_KEY": pair.secret_access_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": house.url,
            **(env or {}),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
