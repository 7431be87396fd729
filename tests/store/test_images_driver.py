import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from agent.images import ports as images_ports
from agent.images.ports import Pulled, Record
from agent.model.names import Image
from agent.runner import ports as runner_ports
from agent.store.images_driver import ImageMemory
from agent.store.journal_driver import Journal
from agent.store.mirror_db import Mirror
from agent.store.schema import STEPS
from tests.store.made_up import T0

T = TypeVar("T")

APP, WEB = Image("app:1"), Image("web:1")
RECORD = Record("sha256:1", ("app:1",), T0, T0 + timedelta(hours=1))


def remember(folder: Path, use: Callable[[ImageMemory], Awaitable[T]], hours: int = 0) -> T:
    async def main() -> T:
        async with Mirror.open(folder / "agent.db", STEPS, lambda _: None) as rows:
            return await use(ImageMemory(rows, lambda: T0 + timedelta(hours=hours)))

    return asyncio.run(main())


def test_the_memory_is_what_its_loops_ask_for(tmp_path: Path) -> None:
    async def use(memory: ImageMemory) -> None:
        for_the_runner: runner_ports.PullMemory = memory
        for_the_images: images_ports.Records = memory
        assert not await for_the_runner.has_pulled(APP)
        assert list(await for_the_images.records()) == []

    remember(tmp_path, use)


def test_a_pull_is_remembered_by_the_next_process_with_its_latest_time(tmp_path: Path) -> None:
    remember(tmp_path, lambda memory: memory.note_pull(APP))
    remember(tmp_path, lambda memory: memory.note_pull(APP), hours=2)

    assert remember(tmp_path, lambda memory: memory.has_pulled(APP))
    assert not remember(tmp_path, lambda memory: memory.has_pulled(WEB))
    assert remember(tmp_path, lambda memory: memory.pulled()) == [Pulled(APP, T0 + timedelta(hours=2))]


def test_records_take_the_place_of_older_ones_and_can_be_dropped(tmp_path: Path) -> None:
    newer = Record("sha256:1", ("app:1", "app:2"), T0, T0 + timedelta(hours=9))

    async def use(memory: ImageMemory) -> None:
        await memory.keep([RECORD, Record("sha256:2", (), T0, T0)])
        await memory.keep([newer])
        await memory.note_pull(APP)
        await memory.note_pull(WEB)
        await memory.forget(["sha256:2"], [WEB])
        await memory.forget([], [])

    remember(tmp_path, use)

    assert remember(tmp_path, lambda memory: memory.records()) == [newer]
    assert [one.image for one in remember(tmp_path, lambda memory: memory.pulled())] == [APP]


def test_the_journal_holds_the_memory_in_its_own_file(tmp_path: Path) -> None:
    async def use() -> None:
        async with Journal.open(tmp_path / "agent.db") as journal:
            await journal.images.note_pull(APP)

    asyncio.run(use())

    assert remember(tmp_path, lambda memory: memory.has_pulled(APP))


@pytest.mark.parametrize("row", [b"{}", b'{"id": "\xff"}'])
def test_a_row_that_makes_no_sense_is_none(tmp_path: Path, row: bytes) -> None:
    remember(tmp_path, lambda memory: memory.keep([RECORD]))
    with sqlite3.connect(tmp_path / "agent.db") as connection:
        connection.execute("UPDATE images SET row = ?", (row,))
    connection.close()

    assert remember(tmp_path, lambda memory: memory.records()) == []
