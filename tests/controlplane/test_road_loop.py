import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from agent.controlplane import tables
from agent.controlplane.events import Called, PlaneDecision
from agent.controlplane.faults import Fault
from agent.controlplane.road_loop import Road, open_road
from agent.store.db import Database
from tests.controlplane.desk import T0

T = TypeVar("T")


class FullDisk:
    """A real database whose disk is full when told."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.full = False

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        if self.full:
            raise OSError("No space left on device")
        return await self.database.write(change)


def create(name: str) -> Called:
    return Called("CreateCluster", {"clusterName": name}, T0, "00" * 32)


def listing() -> Called:
    return Called("ListClusters", {}, T0, "00" * 32)


def names(decision: PlaneDecision) -> list[str]:
    assert decision.answer is not None
    return [arn.rpartition("/")[2] for arn in decision.answer["clusterArns"]]


def test_a_full_disk_is_told_and_leaves_no_trace(tmp_path: Path) -> None:
    async def story() -> None:
        async with Database.open(tmp_path / "plane.db", tables.STEPS) as database, asyncio.TaskGroup() as jobs:
            disk = FullDisk(database)
            road = Road(disk, "123456789012", {})
            heard: list[PlaneDecision] = []
            road.listen(heard.append)
            running = jobs.create_task(road.run())
            await road.decide("here", create("kept"))
            disk.full = True
            refused = await asyncio.gather(
                *(road.decide("here", create(name)) for name in ("a", "b")), return_exceptions=True
            )
            assert [(f.code, f.status) for f in refused if isinstance(f, Fault)] == [("ServerException", 500)] * 2
            assert names(await road.decide("here", listing())) == ["kept"]
            disk.full = False
            await road.decide("here", create("a"))
            assert names(await road.decide("here", listing())) == ["a", "kept"]
            changing = [decision for decision in heard if decision.changes]
            assert len(changing) == 2, "nobody hears of what was not committed"
            running.cancel()
        async with open_road(tmp_path, "123456789012") as _:
            pass
        rows = sqlite3.connect(tmp_path / "plane.db").execute("SELECT key FROM clusters ORDER BY key").fetchall()
        assert rows == [("a",), ("kept",)]

    asyncio.run(story())


def test_a_bug_in_one_call_costs_that_call_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with open_road(tmp_path, "123456789012") as road, asyncio.TaskGroup() as jobs:
            running = jobs.create_task(road.run())
            bad = Called("CreateCluster", {"clusterName": "x", "tags": [{"key": 5}]}, T0, "00" * 32)
            with pytest.raises(Fault) as caught:
                await road.decide("here", bad)
            assert (caught.value.code, caught.value.status) == ("ServerException", 500)
            assert names(await road.decide("here", listing())) == []
            running.cancel()

    asyncio.run(story())


def test_a_region_that_somebody_only_asks_about_is_not_kept(tmp_path: Path) -> None:
    """Who holds keys of any kind, such as those of a task's role, may sign for a million regions."""

    async def story() -> None:
        async with open_road(tmp_path, "123456789012") as road, asyncio.TaskGroup() as jobs:
            running = jobs.create_task(road.run())
            await road.decide("here", create("kept"))
            for number in range(3):
                await road.decide(f"nowhere-{number}", listing())
                with pytest.raises(Fault, match="not authorized"):
                    await road.decide(f"nowhere-{number}", replace(listing(), key="role:arn"))
            assert road.regions == ("here",)
            running.cancel()

    asyncio.run(story())


def test_what_is_decided_together_is_answered_turn_by_turn(tmp_path: Path) -> None:
    """An answer takes milliseconds to write: all of a batch in one turn of the event loop would stop everybody else."""

    async def story() -> None:
        async with open_road(tmp_path, "123456789012") as road, asyncio.TaskGroup() as jobs:
            turn = 0

            async def count_turns() -> None:
                nonlocal turn
                while True:
                    turn += 1
                    await asyncio.sleep(0)

            async def ask() -> int:
                await road.decide("here", listing())
                return turn

            asking = [jobs.create_task(ask()) for _ in range(5)]
            serving = [jobs.create_task(road.run()), jobs.create_task(count_turns())]
            answered_at = await asyncio.gather(*asking)
            assert len(set(answered_at)) == len(answered_at)
            for job in serving:
                job.cancel()

    asyncio.run(story())


@pytest.mark.parametrize("damage", [b"{}", b"{", b'{"name": "\xff"}'])
def test_a_row_that_cannot_be_read_sets_the_file_aside(tmp_path: Path, damage: bytes) -> None:
    async def story() -> None:
        async with open_road(tmp_path, "123456789012"):
            pass
        with closing(sqlite3.connect(tmp_path / "controlplane.db")) as connection:
            connection.execute("INSERT INTO clusters VALUES ('here', 'x', ?)", (damage,))
            connection.commit()
        async with open_road(tmp_path, "123456789012") as road:
            assert not road.regions

    asyncio.run(story())
    assert [path.name for path in tmp_path.glob("*.aside-*") if not path.name.endswith(("-wal", "-shm"))]
