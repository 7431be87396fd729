"""Damaged state: whatever became of the files between two starts, nothing that runs comes to harm.

One house and its agent live through the whole table, with a container for each case and one that outlives them all. In
each case the agent is killed, its files are damaged, and it is started again. Promised each time: it is back within 5 s
under the same ARN, nothing that ran was killed or made twice, the file that was bad stands aside whole, and the next
stop that ECS asks for is done for real and told.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.small_disk import a_small_disk, empty, fill
from tests.stories.house import House, a_house, containers, until
from tests.stories.test_one_task import sh

pytestmark = pytest.mark.docker

BACK_WITHIN = 5.0
BUSY = 3
"""On a host that is busy with other things: so many times the start that finds nothing damaged."""
Damage = Callable[[Path], AbstractContextManager[None]]
Record = Callable[[str, object], None]


@dataclass(frozen=True)
class Case:
    damage: Damage
    aside: str = ""
    """A pattern that a file put aside must match; it must hold what the damage left."""
    told: str = ""
    """What the log must say."""
    durable: bool = True
    """False where the disk takes nothing as long as the damage lasts."""


def done(change: Callable[[Path], object]) -> Damage:
    @contextmanager
    def damage(folder: Path) -> Iterator[None]:
        change(folder)
        yield

    return damage


def each(way: Callable[[str], Damage], *names: str) -> Damage:
    """The same damage to several files."""

    @contextmanager
    def damage(folder: Path) -> Iterator[None]:
        with ExitStack() as stack:
            for name in names:
                stack.enter_context(way(name)(folder))
            yield

    return damage


def rewritten(name: str, content: bytes) -> Damage:
    def change(folder: Path) -> None:
        if (folder / name).is_socket():
            (folder / name).unlink()
        (folder / name).write_bytes(content)

    return done(change)


def emptied(name: str) -> Damage:
    return rewritten(name, b"")


def cut(name: str) -> Damage:
    def change(folder: Path) -> None:
        path = folder / name
        os.truncate(path, path.stat().st_size // 2 + 1)

    return done(change)


def noise(name: str) -> Damage:
    return rewritten(name, random.Random(name).randbytes(20_000))


@contextmanager
def noise_without_log(folder: Path) -> Iterator[None]:
    """A log makes the file whole again, as long as it holds every page: a young journal is all in its log."""
    with removed("agent.db-wal")(folder), noise("agent.db")(folder):
        yield


def removed(*names: str) -> Damage:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink(missing_ok=True)

    return done(change)


def no_file(name: str) -> Damage:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return done(change)


def read_only(name: str) -> Damage:
    """A mount of its own that takes no change: modes are nothing to root."""

    @contextmanager
    def damage(folder: Path) -> Iterator[None]:
        place = str(folder / name)
        subprocess.run(["mount", "--bind", place, place], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
            yield
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)

    return damage


@contextmanager
def immutable(folder: Path) -> Iterator[None]:
    place = str(folder / "agent.db")
    subprocess.run(["chattr", "+i", place], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", place], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    fill(folder)
    try:
        yield
    finally:
        empty(folder)


def rows(*statements: str) -> Damage:
    def change(folder: Path) -> None:
        with closing(sqlite3.connect(folder / "agent.db", isolation_level=None)) as journal:
            for statement in statements:
                journal.execute(statement)

    return done(change)


def another_program(folder: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (folder / f"agent.db{suffix}").unlink(missing_ok=True)
    with closing(sqlite3.connect(folder / "agent.db", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE tasks (song TEXT)")
        other.execute("PRAGMA user_version=3")


STRANGER = "replace(arn, substr(arn, -32), '00000000000000000000000000000000')"
SMALL = ("agent.db-shm", "lock", "dockworker.sock", "clock.json")
"""Files that hold nothing which could be lost."""
FILES = ("agent.db", "agent.db-wal", "identity.json", *SMALL)
CASES: dict[str, Case] = {
    "nothing is damaged": Case(done(lambda _: None)),
    "agent.db is empty": Case(emptied("agent.db"), "agent.db.aside-*"),
    "agent.db is cut off": Case(cut("agent.db")),
    "agent.db is noise": Case(noise("agent.db")),
    "agent.db is noise without a log": Case(noise_without_log, "agent.db.aside-*"),
    "agent.db is a directory": Case(no_file("agent.db"), "agent.db.aside-*"),
    "the log is empty": Case(emptied("agent.db-wal")),
    "the log is cut off": Case(cut("agent.db-wal")),
    "the log is noise": Case(noise("agent.db-wal"), "agent.db-wal.aside-*"),
    "identity.json is empty": Case(emptied("identity.json"), "identity.json.aside-*"),
    "identity.json is cut off": Case(cut("identity.json"), "identity.json.aside-*"),
    "identity.json is noise": Case(noise("identity.json"), "identity.json.aside-*"),
    "identity.json is a directory": Case(no_file("identity.json"), "identity.json.aside-*"),
    "shared index, lock and socket are empty": Case(each(emptied, *SMALL)),
    "shared index, lock and socket are noise": Case(each(noise, *SMALL)),
    "shared index and lock are cut off": Case(each(cut, "agent.db-shm", "lock")),
    "there is no journal": Case(removed("agent.db", "agent.db-wal", "agent.db-shm")),
    "there is no identity": Case(removed("identity.json")),
    "there is nothing at all": Case(removed(*FILES)),
    "agent.db is read-only": Case(read_only("agent.db"), told="DiskReadOnly", durable=False),
    "agent.db is immutable": Case(immutable, told="DiskReadOnly", durable=False),
    "the log is read-only": Case(read_only("agent.db-wal"), durable=False),
    "the shared index is read-only": Case(read_only("agent.db-shm"), durable=False),
    "identity.json is read-only": Case(read_only("identity.json")),
    "lock and socket are read-only": Case(each(read_only, "lock", "dockworker.sock")),
    "the folder is read-only": Case(read_only("."), told="DiskReadOnly", durable=False),
    "the disk is full": Case(full, told="DiskFull", durable=False),
    "the journal is of another program": Case(done(another_program), "agent.db.aside-*"),
    "the journal is of a later program": Case(
        rows("UPDATE form SET min_reader = 99", "PRAGMA user_version = 99"), "agent.db.aside-*"
    ),
    "a later program wrote what this one reads": Case(rows("PRAGMA user_version = 99")),
    "the journal is another agent's": Case(rows("UPDATE owner SET agent = 'somebody'"), "agent.db.aside-*"),
    "reports of tasks that nobody knows": Case(
        rows(f"INSERT INTO outbox (task, report) SELECT {STRANGER}, replace(row, arn, {STRANGER}) FROM tasks LIMIT 1")
    ),
    "reports that make no sense": Case(
        rows("INSERT INTO outbox (task, report) SELECT arn, CAST(x'00ff' AS TEXT) FROM tasks LIMIT 2"),
        told="row_set_aside",
    ),
    "a tombstone beside each task": Case(
        rows(
            "INSERT OR REPLACE INTO tombstones"
            " SELECT arn, json_object('arn', arn, 'at', '2026-01-01T00:00:00Z') FROM tasks"
        ),
        told="row_set_aside",
    ),
    "a task without containers": Case(
        rows(f"INSERT INTO tasks SELECT {STRANGER}, replace(row, arn, {STRANGER}) FROM tasks LIMIT 1")
    ),
    "words of rows that nobody knows": Case(
        rows("UPDATE tasks SET row = json_set(row, '$.known', 'PURGED')"), told="row_set_aside"
    ),
    "rows that make no sense": Case(rows("UPDATE tasks SET row = '{'"), told="row_set_aside"),
}


@pytest.mark.usefixtures("sample_image")
def test_whatever_became_of_the_files_nothing_that_runs_comes_to_harm(tmp_path: Path, record_property: Record) -> None:
    slowest: dict[str, float] = {}
    with a_small_disk(tmp_path / "agent") as disk, a_house(tmp_path, ECS_CONTAINER_STOP_TIMEOUT="2s") as house:
        stays, victims = started(house)
        arn = house.instance()["containerInstanceArn"]
        for (name, case), victim in zip(CASES.items(), victims, strict=True):
            house.agent.end(signal.SIGKILL)
            until(lambda: not is_connected(house, arn), "the control plane to miss the agent")
            slowest[name] = live_through(house, disk, name, case, victim)
            running = {stays, *(container for _, container in victims[len(slowest) :])}
            assert set(containers(house)) == running, name
        assert house.ecs.list_container_instances()["containerInstanceArns"] == [arn]
        with closing(sqlite3.connect(disk / "agent.db")) as journal:
            assert journal.execute("PRAGMA quick_check").fetchone() == ("ok",)
    bare = slowest["nothing is damaged"]
    worst = max(slowest, key=lambda name: slowest[name])
    record_property("cases", len(CASES))
    record_property("bare_start_seconds", bare)
    record_property("slowest_start_seconds", slowest[worst])
    assert slowest[worst] <= max(BACK_WITHIN, BUSY * bare), slowest


def live_through(house: House, disk: Path, name: str, case: Case, victim: tuple[str, str]) -> float:
    """Damage the files, start the agent, and have it stop *victim*; gives the seconds until the agent was back."""
    arn = house.ecs.list_container_instances()["containerInstanceArns"][0]
    left = aside(disk, case)
    with case.damage(disk):
        damaged = contents(disk, case)
        began, said = time.monotonic(), house.agent.log.stat().st_size
        house.agent.start()
        until(lambda: is_connected(house, arn), f"the agent to be back ({name})")
        back = time.monotonic() - began
        house.ecs.stop_task(task=victim[0])
        until(lambda: victim[1] not in containers(house), f"the stop to be real ({name})")
        told = house.until_stopped(victim[0])
        assert told["containers"][0]["exitCode"] in (137, 143), name
        check_told(house, name, case, said, aside(disk, case) - left, damaged)
    if not case.durable:
        until(lambda: "journal_on_disk_again" in since(house, said), f"the disk to be used again ({name})")
    return round(back, 2)


def started(house: House) -> tuple[str, list[tuple[str, str]]]:
    """The container that outlives the table, and a task with its container for each case."""
    definition = house.define("damage", sh("app", "trap 'exit 143' TERM; while :; do sleep 0.1; done"))
    tasks: list[str] = []
    while len(tasks) <= len(CASES):
        count = min(10, len(CASES) + 1 - len(tasks))
        answer = house.ecs.run_task(taskDefinition=definition, count=count)
        assert not answer["failures"], answer["failures"]
        tasks += [task["taskArn"] for task in answer["tasks"]]
    pairs = [(arn, house.until_status(arn, "RUNNING")["containers"][0]["runtimeId"]) for arn in tasks]
    return pairs[0][1], pairs[1:]


def is_connected(house: House, arn: str) -> bool:
    answer = house.ecs.describe_container_instances(containerInstances=[arn])
    return answer["containerInstances"][0]["agentConnected"]


def aside(folder: Path, case: Case) -> set[Path]:
    return set(folder.glob(case.aside)) if case.aside else set()


def contents(folder: Path, case: Case) -> bytes | None:
    """What the damage left of the file that is to stand aside; None for what is no file."""
    path = folder / case.aside.partition(".aside")[0]
    return path.read_bytes() if case.aside and path.is_file() else None


def since(house: House, place: int) -> str:
    with house.agent.log.open() as log:
        log.seek(place)
        return log.read()


def check_told(house: House, name: str, case: Case, said: int, new: set[Path], damaged: bytes | None) -> None:
    assert case.told in since(house, said), name
    if case.aside:
        (one,) = {path for path in new if not path.name.endswith(("-wal", "-shm"))} or new
        assert damaged is None or one.read_bytes() == damaged, name
    identity = house.agent_data / "identity.json"
    assert json.loads(identity.read_text())["identity"]["instance_arn"], name
