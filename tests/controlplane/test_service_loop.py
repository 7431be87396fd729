import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mypy_boto3_ecs import ECSClient

from agent.controlplane.keys_driver import load_or_make
from agent.controlplane.service_loop import serve
from agent.controlplane.settings import PlaneAddress, PlaneSettings
from agent.wire.acs import HeartbeatMessage, PayloadMessage
from tests.controlplane.hand_agent import call, connected, describe, register
from tests.controlplane.house import SETTLED, House, client_of, running


async def see_it_stop(data_dir: Path) -> tuple[int, str]:
    """What an agent hears from a control plane that is told to stop."""
    ready: asyncio.Future[PlaneAddress] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as jobs:
        settings = PlaneSettings(data_dir=data_dir, listen_port=0)
        jobs.create_task(serve(settings, ready=ready.set_result, told_to_stop=stop))
        house = House(await ready, data_dir, await asyncio.to_thread(load_or_make, data_dir))
        arn = await call(register, client=house.client(house.keys.agent), cluster="default")
        async with connected(house, arn) as agent:
            await agent.next(HeartbeatMessage)
            stop.set()
            return await agent.ended()


def test_told_to_stop_it_sends_agents_away_to_come_back(tmp_path: Path) -> None:
    assert asyncio.run(see_it_stop(tmp_path)) == (1001, "the control plane is stopping")

    with running(tmp_path) as house:
        [arn] = house.client().list_container_instances()["containerInstanceArns"]
        instance = describe(house.client(), arn, "default")
        assert (instance["agentConnected"], instance["version"]) == (False, 3), "the loss was saved on the way out"


def test_no_session_survives_a_kill(tmp_path: Path) -> None:
    with killed_afterwards(tmp_path) as (url, process):
        host, _, port = url.removeprefix("http://").partition(":")
        house = House(PlaneAddress(host, int(port)), tmp_path, load_or_make(tmp_path))
        arn = register(house.client(house.keys.agent), cluster="default")

        async def story() -> None:
            async with connected(house, arn) as agent:
                await agent.next(HeartbeatMessage)
                assert (await call(describe, client=house.client(), arn=arn, cluster="default"))["agentConnected"]
                process.kill()

        asyncio.run(story())
    with running(tmp_path) as house:
        assert describe(house.client(), arn, "default")["agentConnected"] is False


@contextmanager
def killed_afterwards(data_dir: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A control plane that is given no chance to say goodbye."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.controlplane.serve_alone", str(data_dir)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            yield process.stderr.readline().strip(), process
        finally:
            process.kill()
            process.wait(SETTLED)


def test_killed_and_started_again_it_knows_everything_it_ever_answered(tmp_path: Path) -> None:
    with killed_afterwards(tmp_path) as (url, _):
        keys = load_or_make(tmp_path)
        client = client_of(url, keys.operator)
        arn = register(client_of(url, keys.agent), cluster="default")
        web = client.register_task_definition(
            family="web", containerDefinitions=[{"name": "web", "image": "i", "memory": 9}]
        )
        before = describe(client, arn, "default")
    with killed_afterwards(tmp_path) as (url, _):
        assert load_or_make(tmp_path) == keys
        client = client_of(url, keys.operator)
        assert describe(client, arn, "default") == before
        found = client.describe_task_definition(taskDefinition="web")["taskDefinition"]
        assert found == web["taskDefinition"]
        again = client.register_task_definition(
            family="web", containerDefinitions=[{"name": "web", "image": "i", "memory": 9}]
        )
        assert again["taskDefinition"]["revision"] == 2


def test_two_control_planes_do_not_share_a_directory(tmp_path: Path) -> None:
    with running(tmp_path), pytest.raises(BlockingIOError, match="another control plane uses"), running(tmp_path):
        pass


def test_a_file_that_cannot_be_read_is_set_aside_and_never_deleted(tmp_path: Path) -> None:
    tmp_path.joinpath("controlplane.db").write_bytes(b"this is no database" * 100)

    with running(tmp_path) as house:
        assert house.client().list_clusters()["clusterArns"] == []

    [aside] = tmp_path.glob("controlplane.db.aside-*")
    assert aside.read_bytes().startswith(b"this is no database")


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    with running(tmp_path):
        for name in ("keys.json", "controlplane.db", "controlplane.lock"):
            assert tmp_path.joinpath(name).stat().st_mode & 0o777 == 0o600, name


async def longest_turn(stop: asyncio.Event) -> float:
    """The most processor time that one turn of this event loop takes until *stop*, whatever else the machine does.

    What other tests have left in memory is kept from the collector of garbage: it would take long to look through.
    """
    longest = 0.0
    gc.collect()
    gc.freeze()
    while not stop.is_set():
        before = time.thread_time()
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - before)
    gc.unfreeze()
    return longest


def test_an_agent_that_is_owed_a_thousand_messages_holds_nobody_up(tmp_path: Path) -> None:
    async def story() -> float:
        ready: asyncio.Future[PlaneAddress] = asyncio.get_running_loop().create_future()
        stop, enough = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as jobs:
            settings = PlaneSettings(data_dir=tmp_path, listen_port=0)
            jobs.create_task(serve(settings, ready=ready.set_result, told_to_stop=stop))
            house = House(await ready, tmp_path, await asyncio.to_thread(load_or_make, tmp_path))
            client = house.client()
            arn = await call(register, client=house.client(house.keys.agent), cluster="default", memory=10_000)
            await asyncio.to_thread(define_small, client)
            async with connected(house, arn) as agent:
                await agent.next(HeartbeatMessage)
                for _ in range(100):
                    await call(client.run_task, taskDefinition="small", count=10)
            turns = jobs.create_task(longest_turn(enough))
            async with connected(house, arn) as agent:
                for _ in range(1000):
                    await agent.next(PayloadMessage)
                enough.set()
            stop.set()
        return await turns

    assert asyncio.run(story()) < 0.05


def define_small(client: ECSClient) -> None:
    client.register_task_definition(
        family="small", containerDefinitions=[{"name": "web", "image": "busybox", "memory": 6}]
    )
