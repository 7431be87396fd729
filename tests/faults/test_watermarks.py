"""Docker's disk fills: room is made in time, by the rules, and while there is none new tasks are refused.

Docker's root is a file system of 300 MiB of its own, the agent a process, and its disk looked at as it does. Nothing is
scaled: the marks are the defaults, but for the low one.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.faults import small_disk
from tests.faults.own_engine import OwnEngine, own_engine
from tests.sample_image import SAMPLE
from tests.stories.house import House, a_house, until

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ContainerDefinitionTypeDef

pytestmark = pytest.mark.docker

DISK = 300
REGISTRY = "127.0.0.1:5000"
"""In the network namespace of the engine."""
LISTENS = "0100007F:1388 00000000:0000 0A"
CONFIG = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: "127.0.0.1:5000"}}
"""
LAYER = 14
"""MiB."""
HIGH, LOW, CRITICAL = 85, 75, 95
USED = tuple(f"used{number}" for number in range(5))


Record = Callable[[str, object], None]


@contextmanager
def a_registry(engine: OwnEngine, *names: str) -> Iterator[None]:
    """A registry that the engine reaches, with an image for each of *names*: like the sample, and of a weight."""
    config = engine.folder / "registry.yml"
    config.write_text(CONFIG.format(folder=engine.folder))
    command = ("nsenter", f"--net=/run/netns/{engine.folder.name}", "docker-registry", "serve", str(config))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: LISTENS in engine.inside("cat", "/proc/net/tcp"), "the registry to listen")
            for name in names:
                _build(engine, name)
                engine.docker("push", "-q", _image(name))
                engine.docker("rmi", _image(name))
            yield
        finally:
            process.kill()


def _build(engine: OwnEngine, name: str) -> None:
    folder = engine.folder / name
    folder.mkdir()
    (folder / "weight").write_bytes(os.urandom(LAYER << 20))
    (folder / "Dockerfile").write_text(f"FROM {SAMPLE}\nCOPY weight /weight\n")
    engine.docker("build", "-q", "-t", _image(name), str(folder))


def _image(name: str) -> str:
    return f"{REGISTRY}/{name}:1"


@dataclass(frozen=True, slots=True)
class Place:
    """An engine on a small disk, and a house whose agent drives it."""

    engine: OwnEngine
    house: House

    @property
    def used(self) -> float:
        """How full Docker's disk is, in per cent."""
        found = os.statvfs(self.engine.data)
        taken = found.f_blocks - found.f_bfree
        return 100 * taken / (taken + found.f_bavail)

    def images(self) -> set[str]:
        """The images of the story that are on the host."""
        return set(self.engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split())

    def fill_to(self, share: float) -> None:
        """Put a file beside Docker's until its disk is so full, in per cent."""
        found = os.statvfs(self.engine.data)
        missing = (found.f_blocks * share / 100 - found.f_blocks + found.f_bfree) * found.f_frsize
        with (self.engine.data / small_disk.FILLER).open("ab") as filler:
            filler.write(b"\0" * max(0, int(missing)))

    def start(self, family: str, *containers: "ContainerDefinitionTypeDef") -> str:
        return self.house.run(self.house.define(family, *containers))

    def ends(self, name: str, *command: str) -> str:
        """A task of one container that comes to its end by itself; its ARN, once ECS knows the end."""
        arn = self.start(name, app(name, *command))
        self.house.until_stopped(arn)
        return arn

    def left_of(self, name: str) -> list[str]:
        """The containers of an image, running or not."""
        return self.engine.docker("ps", "-aq", "--filter", f"ancestor={_image(name)}").split()

    def told(self, event: str) -> list[dict[str, Any]]:
        """The lines of the agent's log with that name."""
        lines = self.house.agent.log.read_text().splitlines()
        return [found for found in map(_read, lines) if found.get("event") == event]


def _read(line: str) -> dict[str, Any]:
    return json.loads(line) if line.startswith("{") and line.endswith("}") else {}


def app(image: str, *command: str, **more: object) -> "ContainerDefinitionTypeDef":
    one = {"name": "app", "image": _image(image), "command": list(command), "memory": 8, "essential": True, **more}
    return cast("ContainerDefinitionTypeDef", one)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    names = ("kept", "running", "waiting", "nobodys", *USED)
    with (
        own_engine(tmpfs_mib=DISK) as engine,
        a_registry(engine, *names),
        a_house(
            tmp_path_factory.mktemp("house"),
            DOCKER_HOST=engine.host,
            ECS_CONTAINER_STOP_TIMEOUT="2s",
            DOCKWORKER_DISK_LOW_WATERMARK=str(LOW),
            DOCKWORKER_PREPULL_IMAGES=_image("kept"),
        ) as house,
    ):
        engine.docker("pull", "-q", _image("nobodys"))
        yield Place(engine, house)


def test_room_is_made_within_ten_seconds_down_to_the_low_mark_and_nothing_goes_that_is_needed(
    place: Place, record_property: Record
) -> None:
    """Images of tasks that ended, of one that runs, of a container that waits to be created, kept ones, nobody's."""
    house = place.house
    lives = place.start("lives", app("running", "sleep", "900"))
    first = app("running", "sleep", "900", name="first", healthCheck={"command": ["CMD", "false"], "interval": 300})
    later = app("waiting", "sleep", "900", dependsOn=[{"containerName": "first", "condition": "HEALTHY"}])
    waits = place.start("waits", first, later)
    longest = place.start("used3", app("used3", "sleep", "900"))
    house.until_status(longest, "RUNNING")
    for name in ("used2", "used0", "used1"):
        place.ends(name, "true")
    house.ecs.stop_task(task=longest)  # the first to be fetched is the last to be used
    house.until_stopped(longest)
    for code in range(1, 6):
        place.ends("used4", "sh", "-c", f"exit {code}")
    house.until_status(lives, "RUNNING")
    everything = {_image(name) for name in ("kept", "running", "waiting", "nobodys", *USED)}
    until(lambda: place.images() >= everything, f"all of {everything} to be here")
    assert place.used < HIGH

    place.fill_to(HIGH + 1)
    over = time.monotonic()
    until(lambda: place.told("disk_filled"), "collection to begin", 10)
    begun = time.monotonic() - over
    until(lambda: place.used <= LOW or None, "the disk to be at the low mark")
    took = time.monotonic() - over
    until(lambda: [one for one in place.told("disk_room_made") if one["images"]], "the round to be told of")

    record_property("collection_begun_after_s", round(begun, 2))
    record_property("low_mark_reached_after_s", round(took, 2))
    assert begun <= 10
    went = [line["names"][0].partition("@")[0] for line in place.told("image_removed")]
    assert went == [_image(name) for name in ("used2", "used0", "used1", "used3")][: len(went)]
    assert went, "the least recently used go first"
    assert place.images() == {*everything, SAMPLE} - set(went), "what runs, waits, is kept or nobody's stays"
    assert len(place.left_of("used4")) == 3, "the last three that failed are kept"
    assert not any(place.left_of(name) for name in USED[:4]), "and no other container that has ended"
    assert house.task(lives)["lastStatus"] == "RUNNING"
    assert house.task(waits)["lastStatus"] != "STOPPED"
    rounds = place.told("disk_room_made")
    assert sum(one["tasks"] for one in rounds) == 6
    assert all({"freed_mib", "tasks_left", "images_left", "disks"} <= one.keys() for one in rounds)


def test_over_the_critical_mark_new_tasks_are_refused_within_a_second_and_below_it_taken_again(
    place: Place, record_property: Record
) -> None:
    """Measured from the disk's filling to the agent's word of it, and from a task's start to ECS's knowledge."""
    house = place.house
    place.fill_to(HIGH + 1)
    until(lambda: place.told("disk_nothing_left"), "nothing to be left that could go", 20)
    place.fill_to(CRITICAL + 1)
    over = time.monotonic()
    until(lambda: place.told("new_tasks_refused"), "tasks to be refused", 10)
    noticed = time.monotonic() - over
    asked = time.monotonic()
    task = house.until_stopped(place.start("refused", app("running", "true")))
    refused = time.monotonic() - asked

    record_property("critical_noticed_after_s", round(noticed, 2))
    record_property("refused_after_s", round(refused, 2))
    assert task["stoppedReason"].startswith("DiskPressure: 9"), task["stoppedReason"]
    assert f"of {place.engine.data} used, critical is 95 %" in task["stoppedReason"]
    assert "containers" not in task or not task["containers"][0].get("runtimeId")
    assert noticed <= 1, f"{noticed:.2f} s"
    assert refused <= 1, f"{refused:.2f} s"

    small_disk.empty(place.engine.data)
    until(lambda: place.told("new_tasks_taken_again"), "tasks to be taken again", 10)
    house.until_status(place.start("taken", app("running", "sleep", "900")), "RUNNING")
