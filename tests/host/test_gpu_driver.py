"""GPUs as NVML tells of them: the real binding, and a library that shows what a test wants."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.host.gpu_driver import GpuDriver, read_signs
from agent.host.gpus import NO_SIGNS, Answer, Lack, Signs
from agent.model.devices import GpuReading, Gpus
from tests.host.nvml import Nvidia

ASKS = """
import dataclasses, json, sys
from agent.host.gpu_driver import read_nvml
for _ in sys.stdin:
    print(json.dumps(dataclasses.asdict(read_nvml())), flush=True)
"""
HANGS = """
import asyncio, threading
from agent.host.gpu_driver import GpuDriver
async def main():
    driver = GpuDriver(within=0.1)
    first, second = await driver.look(), await driver.look()
    print(second.trouble, sum(thread.name == "nvml" for thread in threading.enumerate()))
asyncio.run(main())
"""
A, B = "GPU-5f1c", "GPU-07aa"


class Asking:
    """A process that asks NVML whenever it is told to, always by the one library that it has loaded."""

    def __init__(self, nvidia: Nvidia) -> None:
        self.nvidia = nvidia
        command, environ = [sys.executable, "-c", ASKS], {**os.environ, **nvidia.environ}
        self._process = subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, *lines: str) -> Answer:
        """What NVML answers, if the driver shows *lines*."""
        if lines:
            self.nvidia.show(*lines)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        gpus = Gpus(tuple(told["gpus"]["ids"]), told["gpus"]["driver"])
        return Answer(gpus, tuple(told["faults"]), told["error"], Lack(told["lack"]))

    def close(self) -> None:
        self._process.communicate(timeout=30)


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    nvidia = Nvidia(tmp_path_factory.mktemp("nvidia"))
    nvidia.install()
    made = Asking(nvidia)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("shown", "answer"),
    [
        (("driver 550.54.15", f"gpu {A}", f"gpu {B}"), Answer(Gpus((A, B), "550.54.15"))),
        (("driver 550.54.15",), Answer(Gpus((), "550.54.15"))),
        (
            (f"gpu {A}", "bad 15", f"gpu {B}"),
            Answer(Gpus((A, B), "1.0"), ("GPU 1 cannot be used: GPU is lost",)),
        ),
        ((f"mig {A} MIG-1 - MIG-2", f"gpu {B}"), Answer(Gpus(("MIG-1", "MIG-2", B), "1.0"))),
        (
            (f"mig {A} - -", f"gpu {B}"),
            Answer(Gpus((B,), "1.0"), ("GPU 0 is to be cut into slices (MIG), and there are none",)),
        ),
        (("init 18",), Answer(error="RM has detected an NVML/RM version mismatch.")),
        (("init 9",), Answer(lack=Lack.DRIVER)),
        (("count 999",), Answer(error="Unknown Error")),
        ((f"gpu {A}", "shutdown 999"), Answer(Gpus((A,), "1.0"))),
        (("count 999", "shutdown 999"), Answer(error="Unknown Error")),
        (
            ("gpu \udcff", f"gpu {B}"),
            Answer(Gpus((B,), "1.0"), ("GPU 0 cannot be used: NVML gives it a name that is no text",)),
        ),
        (("driver \udcff",), Answer(error="NVML gives the driver a version that is no text")),
    ],
)
def test_gpus_and_their_slices_are_told_in_the_drivers_order(
    asking: Asking, shown: tuple[str, ...], answer: Answer
) -> None:
    assert asking.ask(*shown) == answer
    assert asking.ask(f"gpu {A}") == Answer(Gpus((A,), "1.0"))  # whatever came before, it was closed, and opens again


def test_a_driver_may_come_after_the_agent_and_go_before_it(tmp_path: Path) -> None:
    nvidia = Nvidia(tmp_path)
    asking = Asking(nvidia)
    try:
        assert asking.ask() == Answer(lack=Lack.LIBRARY)
        nvidia.install()
        assert asking.ask() == Answer(lack=Lack.DRIVER)
        assert asking.ask(f"gpu {A}") == Answer(Gpus((A,), "1.0"))
        nvidia.unload()
        assert asking.ask() == Answer(lack=Lack.DRIVER)
    finally:
        asking.close()


def test_a_driver_that_hangs_is_asked_once_and_holds_up_nobody(tmp_path: Path) -> None:
    nvidia = Nvidia(tmp_path)
    nvidia.install()
    nvidia.show("hang")
    environ = {**os.environ, **nvidia.environ}

    said = subprocess.run(
        [sys.executable, "-c", HANGS], env=environ, capture_output=True, text=True, check=True, timeout=30
    )

    assert said.stdout == "NVML does not answer within 0.1 s 1\n"


def test_what_a_slow_driver_says_at_last_is_heard_by_the_next_look() -> None:
    may_answer = threading.Event()

    def ask() -> tuple[Answer, Signs]:
        may_answer.wait(30)
        return Answer(Gpus((A,), "1")), NO_SIGNS

    async def look_twice() -> tuple[GpuReading, GpuReading]:
        driver = GpuDriver(ask, within=0.01)
        first = await driver.look()
        may_answer.set()
        driver._within = 30
        return first, await driver.look()

    first, second = asyncio.run(look_twice())
    assert (first.gpus.ids, first.trouble) == ((), "NVML does not answer within 0.01 s")
    assert (second.gpus.ids, second.trouble) == ((A,), "")


def test_a_bug_in_asking_ends_the_look() -> None:
    def ask() -> tuple[Answer, Signs]:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        asyncio.run(GpuDriver(ask).look())


def test_gpus_that_docker_cannot_use_are_told_all_the_same_and_said_to_be_of_no_use() -> None:
    answers = iter([Answer(), Answer(Gpus((A,), "1"), ("GPU 1 is odd",))])
    driver = GpuDriver(lambda: (next(answers), NO_SIGNS), lack="Docker has no runtime")

    async def look() -> list[GpuReading]:
        return [await driver.look(), await driver.look()]

    without, with_gpus = asyncio.run(look())
    assert "Docker" not in without.trouble
    assert with_gpus.gpus.ids == (A,)
    assert with_gpus.trouble == "GPU 1 is odd; Docker has no runtime"
    assert driver.reading == with_gpus


def test_signs_of_gpus_are_files(tmp_path: Path) -> None:
    info, kernels = tmp_path / "info.json", tmp_path / "version"
    assert read_signs(info, kernels) == Signs()
    info.write_text("{}")
    kernels.touch()
    assert read_signs(info, kernels) == Signs(has_driver=True, handed_over="{}")
    info.write_bytes(b"\xff\xfe")
    assert read_signs(info, kernels) == Signs(has_driver=True)
