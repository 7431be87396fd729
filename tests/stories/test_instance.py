"""An agent on an EC2 instance that is made up: what it tells ECS of itself, and what it does when EC2 wants it back.

Promised: an instance that EC2 will take away is DRAINING within two seconds; one in a warm pool is not registered.
"""

import asyncio
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.fakes.metadata import Metadata, a_metadata_service
from tests.faults.front import Weather, a_house_behind_a_front
from tests.stories.house import REGION, House, standing, until

pytestmark = pytest.mark.docker

Record = Callable[[str, object], None]
DRAINED_WITHIN = 2.0
SPOT = "meta-data/spot/instance-action"
LIFECYCLE = "meta-data/autoscaling/target-lifecycle-state"
LAST = "stopped_as_asked"
NOTICE = json.dumps({"action": "terminate", "time": "2026-01-15T12:02:00Z"})
HASTY = """
from agent.membership import warm_pool_loop
warm_pool_loop.EACH = 0.1
from agent.__main__ import main
main()
"""


class Ec2:
    """Instance metadata, in a thread of its own, for stories that are written down synchronously."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ec2", daemon=True)
        self._stack = AsyncExitStack()
        self._thread.start()
        self.service: Metadata = self._do(self._stack.enter_async_context(a_metadata_service()))

    def close(self) -> None:
        self._do(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 -- whatever *work* gives
        done: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(timeout=10)


@pytest.fixture
def ec2() -> Iterator[Ec2]:
    made = Ec2()
    yield made
    made.close()


def on_ec2(ec2: Ec2) -> dict[str, str]:
    return {
        "AWS_EC2_METADATA_DISABLED": "false",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": ec2.service.url,
        "AWS_REGION": REGION,
    }


@contextmanager
def a_house(folder: Path, ec2: Ec2, *program: str, **settings: str) -> Iterator[House]:
    """A house whose agent is on EC2."""
    house = House(folder, {**on_ec2(ec2), **settings})
    house.agent.command = program or house.agent.command
    with standing(house):
        yield house


def attributes(house: House) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in house.instance()["attributes"]}


def status(house: House) -> str:
    return house.instance()["status"]


@pytest.fixture
def tagged(ec2: Ec2) -> Iterator[str]:
    """The URL of an EC2 that knows tags of the instance."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        url = "http://{}:{}".format(*moto.get_host_and_port())
        theirs = boto3.client("ec2", REGION, endpoint_url=url, aws_access_key_id="k", aws_secret_access_key="s")
        (machine,) = theirs.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1)["Instances"]
        ec2.service.texts["meta-data/instance-id"] = machine["InstanceId"]
        tags = [{"Key": "Name", "Value": "box"}, {"Key": "team", "Value": "of the machine"}]
        theirs.create_tags(Resources=[machine["InstanceId"]], Tags=tags)
        yield url
    finally:
        moto.stop()


def tags_of(house: House) -> dict[str, str]:
    arn = house.instance()["containerInstanceArn"]
    (one,) = house.ecs.describe_container_instances(containerInstances=[arn], include=["TAGS"])["containerInstances"]
    return {tag["key"]: tag["value"] for tag in one["tags"]}


def lines(house: House) -> list[str]:
    """The events of the agent's log, of its latest life."""
    events = [json.loads(line)["event"] for line in house.agent.log.read_text().splitlines() if line.startswith("{")]
    return events[max((n for n, event in enumerate(events) if event == LAST), default=-1) + 1 :]


def set_active(house: House) -> None:
    arn = house.instance()["containerInstanceArn"]
    house.ecs.update_container_instances_state(containerInstances=[arn], status="ACTIVE")


def test_a_spot_instance_is_drained_when_ec2_wants_it_back_and_nobody_takes_that_back(
    tmp_path: Path, ec2: Ec2, tagged: str, record_property: Record
) -> None:
    document = {"instanceId": "i-0abc", "instanceType": "m7g.large", "imageId": "ami-1"}
    ec2.service.texts["dynamic/instance-identity/document"] = json.dumps(document)
    ec2.service.texts["meta-data/outpost-arn"] = "arn:aws:outposts:us-east-1:1:outpost/op-1"
    wishes = {"ECS_ENABLE_SPOT_INSTANCE_DRAINING": "true", "DOCKWORKER_DRAIN_ON_STOP": "services"}
    tags = {
        "ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM": "ec2_instance",
        "ECS_CONTAINER_INSTANCE_TAGS": '{"team": "of the operator"}',
        "AWS_ENDPOINT_URL_EC2": tagged,
    }
    with a_house_behind_a_front(tmp_path, **on_ec2(ec2), **wishes, **tags) as (house, front):
        assert house.instance()["ec2InstanceId"] == "i-0abc"
        told = attributes(house)
        assert told["ecs.instance-type"] == "m7g.large"
        assert told["ecs.outpost-arn"] == "arn:aws:outposts:us-east-1:1:outpost/op-1"
        assert tags_of(house) == {"Name": "box", "team": "of the operator"}
        looks = ec2.service.asked.count(SPOT)
        until(lambda: ec2.service.asked.count(SPOT) >= looks + 2, "the agent to look for notices")
        assert status(house) == "ACTIVE"

        began = time.monotonic()
        ec2.service.texts[SPOT] = NOTICE
        until(lambda: status(house) == "DRAINING", "the instance to be DRAINING")
        took = time.monotonic() - began
        record_property("drained_after_s", round(took, 2))
        assert took <= DRAINED_WITHIN

        # Drained by the agent, which was told to stop: that it takes back at its next start, and drains for good.
        set_active(house)
        assert house.agent.end(signal.SIGTERM) == 0
        house.agent.start()
        until(lambda: {"instance_active_again", "instance_draining"} <= set(lines(house)), "the agent to be back")
        assert lines(house).index("instance_active_again") < lines(house).index("instance_draining")
        assert status(house) == "DRAINING"

        # ECS takes no registration for minutes, which are all that a spot instance has left.
        set_active(house)
        house.agent.end(signal.SIGKILL)
        front.weather_of["RegisterContainerInstance"] = Weather.THROTTLES
        house.agent.start()
        until(lambda: status(house) == "DRAINING", "the instance to be DRAINING", patience=10)


def test_an_instance_in_a_warm_pool_is_not_registered_before_it_is_in_service(tmp_path: Path, ec2: Ec2) -> None:
    ec2.service.texts[LIFECYCLE] = "Warmed:Running"

    def into_service() -> bool:
        if ec2.service.asked.count(LIFECYCLE) < 5:
            return False
        assert b'"instance_registered"' not in (tmp_path / "agent.log").read_bytes()
        ec2.service.texts[LIFECYCLE] = "InService"
        return True

    group = threading.Thread(target=lambda: until(into_service, "the agent to ask"), name="group")
    group.start()
    hasty = (sys.executable, "-c", HASTY, "run")
    with a_house(tmp_path, ec2, *hasty, ECS_WARM_POOLS_CHECK="true") as house:
        group.join(timeout=30)
        assert ec2.service.texts[LIFECYCLE] == "InService"
        assert status(house) == "ACTIVE"
