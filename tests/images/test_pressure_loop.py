"""A disk that fills before the watch: time passes only in its pauses."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from agent.images import pressure_loop
from agent.images.ports import Fullness, Look
from agent.images.pressure_loop import LOOK_EVERY, STILL_FOR, TRY_AGAIN_EVERY, DiskWatch, Making
from agent.images.watermarks import Marks
from agent.model.events import Event, Reclaim
from agent.model.names import Image, TaskArn
from agent.model.task import Task
from tests.images.scene import T0, Host, hours
from tests.operator.scene import ended


def stopped(number: int) -> Task:
    """A task that ended well so many minutes after T0."""
    row = ended()
    arn = TaskArn(f"{row.arn[:-2]}{number:02}")
    at = T0 + timedelta(minutes=number)
    well = tuple(replace(one, exit_code=0, reason="") for one in row.containers)
    what = replace(row.spec, arn=arn)
    return replace(row, spec=what, containers=well, settled=True, stopped_at=at, remove_at=at + timedelta(hours=3))


class Place:
    """A host with a disk on which every image and every stopped task takes one per cent."""

    def __init__(self, *, other: float, images: int = 0, tasks: int = 0) -> None:
        self.other = other
        self.host = Host()
        for number in range(images):
            self.host.now = hours(number / 60)
            self.host.fetch(f"i{number:02}:1", f"i{number:02}")
        self.rows = {task.arn: task for task in map(stopped, range(tasks))}
        self.is_silent = False
        self.looks = 0
        self.strains: list[str] = []
        self.pauses: list[float] = []
        self.on_pause: Callable[[], None] = lambda: None
        making = Making(self, self.submit, self.host.cleaner, lambda: self.host.now)
        self.watch = DiskWatch(self, Marks(), making, strain=self.strain, pause=self.pause)

    @property
    def tasks(self) -> Mapping[TaskArn, Task]:
        return self.rows

    @property
    def used(self) -> float:
        return self.other + len(self.host.shown) + len(self.rows)

    async def look(self) -> Look:
        self.looks += 1
        if self.is_silent:
            return Look(silent=("/var/lib/docker",))
        return Look(docker=Fullness("/var/lib/docker", 1, self.used, 3, bytes_free=int(100 - self.used) << 20))

    async def submit(self, event: Event) -> None:
        """Docker removes what the engine has it remove at once, least recently stopped first."""
        assert isinstance(event, Reclaim)
        for arn in sorted(self.rows)[: event.most]:
            del self.rows[arn]

    def strain(self, reason: str) -> None:
        self.strains.append(reason)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.on_pause()
        await asyncio.sleep(0)


def watch(place: Place, until: Callable[[], bool]) -> None:
    """Have the watch run until the test has seen what it waits for."""

    async def story() -> None:
        job = asyncio.create_task(place.watch.run())
        async with asyncio.timeout(10):
            while not until() and not job.done():
                await asyncio.wait({job}, timeout=0)
        job.cancel()
        await asyncio.wait({job})
        if not job.cancelled():
            job.result()

    asyncio.run(story())


def has_looked(place: Place, times: int) -> Callable[[], bool]:
    return lambda: place.looks >= times


def test_room_is_made_from_the_high_mark_down_to_the_low_one_oldest_first() -> None:
    place = Place(other=60, images=25)

    watch(place, lambda: place.used <= 80 and place.looks > 20)

    assert place.used == 80
    assert place.host.removed == [f"i{number:02}:1" for number in range(5)]


def test_nothing_goes_below_the_high_mark() -> None:
    place = Place(other=60, images=24)

    watch(place, has_looked(place, 20))

    assert place.host.removed == []
    assert set(place.pauses) == {LOOK_EVERY}


def test_what_has_stopped_goes_before_images() -> None:
    place = Place(other=60, images=13, tasks=12)

    watch(place, lambda: place.used <= 80)

    assert (len(place.rows), place.host.removed) == (2, [])


def test_a_round_is_one_line_that_says_what_was_freed_and_what_is_left() -> None:
    place = Place(other=60, images=20, tasks=12)
    with capture_logs() as lines:
        watch(place, lambda: place.used <= 80 and place.looks > 30)

    rounds = [line for line in lines if line["event"] == "disk_room_made"]
    assert [(one["tasks"], one["images"], one["freed_mib"]) for one in rounds] == [(10, 0, 10.0), (2, 0, 2.0)]
    assert [(one["tasks_left"], one["images_left"]) for one in rounds] == [(2, 0), (0, 0)]
    assert rounds[-1]["disks"] == {"/var/lib/docker": "80.0 % of bytes, 3.0 % of inodes"}


def test_when_nothing_is_left_that_is_said_once_and_what_becomes_free_later_goes() -> None:
    place = Place(other=78, images=10)
    place.host.wanted = {Image(f"i{number:02}:1") for number in range(9)}

    def later() -> None:
        if place.pauses.count(TRY_AGAIN_EVERY) == 3:
            place.host.wanted = set()

    place.on_pause = later
    with capture_logs() as lines:
        watch(place, lambda: place.used <= 80)

    assert [line["event"] for line in lines if line["event"].startswith("disk_")][:3] == [
        "disk_filled",
        "disk_room_made",
        "disk_nothing_left",
    ]


@pytest.mark.parametrize("used", [95, 99])
def test_over_the_critical_mark_tasks_are_refused_and_below_it_taken_again(used: int) -> None:
    place = Place(other=used)

    def later() -> None:
        if place.looks > 5:
            place.other = 94

    place.on_pause = later
    watch(place, has_looked(place, 20))

    reason = f"DiskPressure: {used} % of bytes of /var/lib/docker used, critical is 95 %"
    assert list(dict.fromkeys(place.strains)) == [reason, ""]
    assert place.watch.trouble == ""


def test_a_disk_that_does_not_answer_is_trouble_and_is_as_full_as_it_was() -> None:
    place = Place(other=97)

    def later() -> None:
        place.is_silent = place.looks > 5

    place.on_pause = later
    with capture_logs() as lines:
        watch(place, has_looked(place, 20))

    assert set(place.strains) == {"DiskPressure: 97 % of bytes of /var/lib/docker used, critical is 95 %"}
    assert [line["event"] for line in lines if line["event"] == "disk_silent"] == ["disk_silent"]
    place.watch._reason = ""
    assert place.watch.trouble == "/var/lib/docker does not answer"


def test_dockers_disk_that_is_not_seen_is_told_once() -> None:
    class Inside(Place):
        async def look(self) -> Look:
            self.looks += 1
            return Look(data=Fullness("/data", 1, 20))

    place = Inside(other=0)
    with capture_logs() as lines:
        watch(place, has_looked(place, 9))

    assert [(line["event"], line["watched"]) for line in lines] == [("docker_root_not_seen", "/data")]


def test_a_docker_that_hangs_holds_a_round_up_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    place = Place(other=90, images=1)
    monkeypatch.setattr(pressure_loop, "ROOM_WITHIN", 0.01)
    monkeypatch.setattr(place.host.cleaner, "make_room", hang)

    async def a_round() -> bool:
        async with asyncio.timeout(5):
            return await place.watch._round()

    with capture_logs() as lines:
        assert not asyncio.run(a_round())
    assert [line["error"] for line in lines if line["event"] == "disk_room_not_made"] == [
        "Docker was not done within 0.01 s"
    ]


class HeldPlace(Place):
    """What is left of stopped tasks waits for the disk, but for one task with every look."""

    goes = 0

    async def submit(self, event: Event) -> None:
        assert isinstance(event, Reclaim)
        for arn in sorted(self.rows)[: event.most]:
            self.rows[arn] = replace(self.rows[arn], remove_at=None)

    async def pause(self, seconds: float) -> None:
        if self.goes:
            self.goes -= 1
            del self.rows[min(self.rows)]
        await super().pause(seconds)


def test_what_waits_for_a_full_disk_does_not_keep_images_from_making_room_there() -> None:
    place = HeldPlace(other=60, images=25, tasks=3)
    place.goes = 1

    with capture_logs() as lines:
        assert asyncio.run(asyncio.wait_for(place.watch._round(), 5))

    assert sum(place.pauses) == LOOK_EVERY + STILL_FOR
    assert [line["tasks"] for line in lines if line["event"] == "stopped_tasks_not_cleared"] == [2]
    place.pauses.clear()

    assert asyncio.run(asyncio.wait_for(place.watch._round(), 5)), "images go, and nobody waits for the tasks again"

    assert (place.host.removed != [], place.pauses) == (True, [])
