"""A log file within its bounds."""

import os
from pathlib import Path

import pytest

from agent.host import rolling_driver
from agent.host.rolling_driver import RollingFile

LINE = b"0123456789\n"


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def a_file(folder: Path, keep: int = 2, rollover: str = "size") -> RollingFile:
    return RollingFile(folder / "log" / "a.log", most_bytes=2 * len(LINE), keep=keep, rollover=rollover)


def test_it_rolls_before_it_would_be_too_full_and_keeps_so_many(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    for number in range(9):
        file.write(b"%d" % number + LINE[1:])
    assert {name: text[:1] for name, text in written(tmp_path / "log").items()} == {
        "a.log": b"8",
        "a.log.1": b"6",
        "a.log.2": b"4",
    }
    assert (tmp_path / "log" / "a.log.1").stat().st_mode & 0o777 == 0o600
    file.close()


def test_with_none_kept_there_is_one_file(tmp_path: Path) -> None:
    file = a_file(tmp_path, keep=0)
    for _ in range(5):
        file.write(LINE)
    assert written(tmp_path / "log") == {"a.log": LINE}
    file.close()


def test_what_was_written_before_counts(tmp_path: Path) -> None:
    for _ in range(3):
        file = a_file(tmp_path)
        file.write(LINE)
        file.close()
    assert written(tmp_path / "log") == {"a.log": LINE, "a.log.1": 2 * LINE}


def test_hourly_begins_a_new_one_with_the_hour_and_when_it_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = [7]
    monkeypatch.setattr(rolling_driver, "_hour", lambda: hour[0])
    file = a_file(tmp_path, rollover="hourly")
    file.write(LINE)
    hour[0] += 1
    file.write(LINE)
    assert written(tmp_path / "log") == {"a.log": LINE, "a.log.1": LINE}
    file.write(LINE)
    file.write(LINE)
    assert written(tmp_path / "log")["a.log.1"] == 2 * LINE
    file.close()


def test_none_never_rolls_and_follows_whoever_moves_the_file_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rolling_driver, "LOOK_EVERY", 0.0)
    file = a_file(tmp_path, rollover="none")
    for _ in range(4):
        file.write(LINE)
    (tmp_path / "log" / "a.log").rename(tmp_path / "log" / "moved")
    file.write(LINE)
    assert written(tmp_path / "log") == {"a.log": LINE, "moved": 4 * LINE}
    file.close()


def test_as_many_lines_as_fit_are_written_at_once(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    assert file.piece([LINE] * 5) == 2
    file.write(LINE)
    assert file.piece([LINE] * 5) == 1
    assert file.piece([LINE * 9]) == 1
    file.close()


def test_half_a_line_is_taken_back_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = a_file(tmp_path)
    file.write(LINE)
    real = os.write
    answers = iter([3])

    def write(descriptor: int, text: bytes) -> int:
        for count in answers:
            return real(descriptor, text[:count])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError, match="No space"):
        file.write(LINE)
    assert written(tmp_path / "log") == {"a.log": LINE}
    file.close()


@pytest.mark.parametrize("rollover", ["size", "hourly", "none"])
@pytest.mark.parametrize("keep", [0, 2])
def test_a_device_is_written_to_and_never_moved_away(tmp_path: Path, rollover: str, keep: int) -> None:
    device = tmp_path / "log" / "a.log"
    device.parent.mkdir()
    device.symlink_to("/dev/null")
    file = a_file(tmp_path, keep, rollover)

    for _ in range(9):
        file.write(LINE)
    file.close()

    assert [path.name for path in device.parent.iterdir()] == ["a.log"]
    assert device.is_symlink()


def test_a_device_that_takes_nothing_says_why(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "a.log").symlink_to("/dev/full")
    file = a_file(tmp_path)

    with pytest.raises(OSError, match="No space left"):
        file.write(LINE)
