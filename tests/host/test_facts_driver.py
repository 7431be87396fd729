import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.host.capabilities import EngineOffer, Wishes
from agent.host.facts_driver import USUAL_RANGE, HostFacts, is_ec2, read_machine, read_plugins, read_port_range
from agent.host.resources import Machine, Reservations
from agent.membership import ports
from agent.model.devices import Gpus
from agent.model.errors import Fatal, TryAgain


async def engine() -> EngineOffer:
    return EngineOffer("1.41", "1.12", frozenset({"json-file"}))


async def no_engine() -> EngineOffer:
    raise TryAgain("no engine")


def test_this_machine_is_read_as_the_kernel_tells_it() -> None:
    machine = read_machine()

    kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    assert machine.memory == kilobytes * 1024
    assert machine.cpus == len(os.sched_getaffinity(0))
    assert machine.architecture == os.uname().machine
    assert {"127.0.0.1", os.uname().nodename} <= machine.addresses
    first, last = machine.port_range
    assert 0 < first < last < 65536


def test_only_processors_that_this_process_may_use_count() -> None:
    one = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, {{{one}}})\n"
        "from agent.host.facts_driver import read_machine; print(read_machine().cpus)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == "1"


@pytest.mark.parametrize(
    ("text", "found"), [("20000\t30000\n", (20000, 30000)), ("x", USUAL_RANGE), ("1", USUAL_RANGE)]
)
def test_the_port_range_is_the_kernels(tmp_path: Path, text: str, found: tuple[int, int]) -> None:
    path = tmp_path / "range"
    path.write_text(text)
    assert read_port_range(path) == found


def test_a_port_range_that_is_not_there_is_the_usual_one(tmp_path: Path) -> None:
    assert read_port_range(tmp_path / "absent") == USUAL_RANGE


def test_membership_gets_resources_and_attributes() -> None:
    facts: ports.HostFacts = HostFacts(Reservations(), Wishes(), engine)

    assert [resource.name for resource in asyncio.run(facts.resources())] == ["CPU", "MEMORY", "PORTS", "PORTS_UDP"]
    assert "ecs.os-type" in {attribute.name for attribute in asyncio.run(facts.attributes())}


def test_the_machine_is_read_afresh_each_time() -> None:
    sizes = iter([1, 2])
    facts = HostFacts(Reservations(), Wishes(), engine, lambda: Machine(cpus=next(sizes), memory=0))

    assert [asyncio.run(facts.resources())[0].integer for _ in range(2)] == [1024, 2048]


def test_what_stands_in_the_way_reaches_the_caller() -> None:
    machine = Machine(cpus=1, memory=0)
    with pytest.raises(Fatal):
        asyncio.run(HostFacts(Reservations(memory=1), Wishes(), engine, lambda: machine).resources())
    with pytest.raises(TryAgain):
        asyncio.run(HostFacts(Reservations(), Wishes(), no_engine, lambda: machine).attributes())


def test_plugins_are_found_where_docker_looks_for_them(tmp_path: Path) -> None:
    sockets, specifications = tmp_path / "run", tmp_path / "etc"
    for path in ("run/efs.sock", "run/own/own.sock", "run/notes.txt", "etc/far.spec", "etc/net.json", "etc/a/b.spec"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()

    assert read_plugins(sockets, [specifications, tmp_path / "absent"]) == {"efs", "own", "far", "net", "b"}
    assert read_plugins(tmp_path / "absent", []) == frozenset()


def test_gpus_are_those_of_the_last_look_and_their_driver_is_an_attribute() -> None:
    gpus = [Gpus(("GPU-1",), "1.0"), Gpus(("GPU-2",), "2.0")]
    facts: ports.HostFacts = HostFacts(Reservations(), Wishes(), engine, gpus=lambda: gpus[0])
    assert asyncio.run(facts.gpus()).ids == ("GPU-1",)

    del gpus[0]

    assert asyncio.run(facts.gpus()).ids == ("GPU-2",)
    told = {one.name: one.value for one in asyncio.run(facts.attributes())}
    assert told["ecs.capability.gpu-driver-version"] == "2.0"


@pytest.mark.parametrize(
    ("vendor", "hypervisor", "there"),
    [
        ("Amazon EC2\n", None, True),
        ("Xen\n", "ec2e1916-9099-7caf-fd21-012345abcdef\n", True),
        ("Xen\n", "EC2E1916-9099-7CAF-FD21-012345ABCDEF\n", True),
        ("Xen\n", "00000000-0000-0000-0000-000000000000\n", False),
        ("QEMU\n", None, False),
        (None, None, False),
    ],
)
def test_an_ec2_instance_is_known_by_its_firmware_or_its_hypervisor(
    tmp_path: Path, vendor: str | None, hypervisor: str | None, *, there: bool
) -> None:
    for name, text in (("vendor", vendor), ("hypervisor", hypervisor)):
        if text is not None:
            (tmp_path / name).write_text(text)
    assert is_ec2(tmp_path / "vendor", tmp_path / "hypervisor") is there


def test_the_outpost_is_told_with_the_other_attributes() -> None:
    facts = HostFacts(Reservations(), Wishes(), engine, outpost_arn="arn:aws:outposts:us-west-2:1:outpost/op-1")
    told = {one.name: one.value for one in asyncio.run(facts.attributes())}
    assert told["ecs.outpost-arn"] == "arn:aws:outposts:us-west-2:1:outpost/op-1"
