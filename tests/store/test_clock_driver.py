"""The last look at the clocks: kept while the machine runs, and believed no longer."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.model.clock import Reading
from agent.store.clock_driver import ClockFile

LOOK = Reading(datetime(2026, 1, 15, 12, tzinfo=UTC), 4000.5)


def test_what_is_kept_is_found_again_and_the_latest_counts(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    ClockFile(path).write(Reading(LOOK.wall, 1.0))
    ClockFile(path).write(LOOK)
    assert ClockFile(path).read() == LOOK
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["clock.json"]


def test_after_a_start_of_the_machine_it_says_nothing(tmp_path: Path) -> None:
    boot = tmp_path / "boot_id"
    boot.write_text("one\n")
    file = ClockFile(tmp_path / "clock.json", boot)
    file.write(LOOK)
    assert file.read() == LOOK
    boot.write_text("two\n")
    assert file.read() is None


@pytest.mark.parametrize(
    "text", ["", "{", "noise", '{"boot":"one"}', '{"boot":"one","reading":{"wall":1,"seconds":2}}']
)
def test_a_file_that_makes_no_sense_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clock.json"
    path.write_text(text)
    assert ClockFile(path).read() is None
    ClockFile(path).write(LOOK)
    assert ClockFile(path).read() == LOOK


def test_a_disk_that_refuses_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "not there" / "clock.json"
    ClockFile(path).write(LOOK)
    assert ClockFile(path).read() is None
    (tmp_path / "clock.json").mkdir()
    assert ClockFile(tmp_path / "clock.json").read() is None
    ClockFile(tmp_path / "clock.json").write(LOOK)
