"""A storm of errors in the agent: a thousand a second, and more lines beside them.

Promised: all log files together stay within ``(ECS_LOG_MAX_ROLL_COUNT + 1) x ECS_LOG_MAX_FILE_SIZE_MB``; of one error
at most 100 lines in 10 s are written, also to standard error, and the rest is counted; the first line of a kind is
never lost; neither a full disk nor a standard error that nobody reads hurts the event loop.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.cli.sieve import MOST_GRAVE, MOST_SAME
from tests.faults.small_disk import a_small_disk, empty, fill
from tests.stories.house import clean_environment

ROOT = Path(__file__).parents[2]
SECONDS = 2.0
MOST_MB, KEPT = 0.1, 2
TOTAL = (KEPT + 1) * MOST_MB * 1e6
MOST_LAG = 100.0
"""Milliseconds that the loop may be late, on a machine that others use too."""
Record = Callable[[str, object], None]
Lines = list[dict[str, Any]]


def a_storm(file: Path, seconds: float = SECONDS, most_mb: float = MOST_MB) -> subprocess.Popen[bytes]:
    environ = {
        **clean_environment(),
        "ECS_LOGFILE": str(file),
        "ECS_LOG_MAX_FILE_SIZE_MB": str(most_mb),
        "ECS_LOG_MAX_ROLL_COUNT": str(KEPT),
    }
    command = [sys.executable, "-m", "tests.faults.storm", str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def read(text: bytes) -> Lines:
    return [json.loads(line) for line in text.splitlines()]


def called(lines: Lines, event: str) -> Lines:
    return [line for line in lines if line["event"] == event]


def test_the_files_stay_within_their_total_and_what_was_left_out_is_counted(
    tmp_path: Path, record_property: Record
) -> None:
    storm = a_storm(tmp_path / "agent.log")
    said, heard = storm.communicate(timeout=30)
    lag, count = float(said.split()[0]), int(said.split()[1])
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    lines = read(heard)
    record_property("log_storm_bytes", sum(sizes.values()))
    record_property("log_storm_lag_ms", lag)

    assert count >= SECONDS * 1000 - 50
    assert sizes.keys() == {"agent.log", "agent.log.1", "agent.log.2"}
    assert sum(sizes.values()) <= TOTAL, sizes
    assert len(called(lines, "everything_broke")) == MOST_GRAVE
    assert len(called(lines, "the_same_again")) == MOST_SAME
    assert len(called(lines, "something_new")) == 1
    left_out = {line["of"]: line["count"] for line in called(lines, "log_lines_left_out")}
    assert left_out == {"everything_broke": count - MOST_GRAVE, "the_same_again": count - MOST_SAME}
    assert lag <= MOST_LAG, f"the loop was {lag} ms late"


def test_a_disk_that_is_full_hurts_nobody_and_is_owned_up_to(tmp_path: Path, record_property: Record) -> None:
    with a_small_disk(tmp_path / "logs", mib=1) as disk:
        file = disk / "agent.log"
        file.touch(mode=0o600)
        fill(disk)
        with a_storm(file, SECONDS, most_mb=1.0) as storm:
            assert storm.stdout
            assert storm.stderr
            heard = next(line for line in storm.stderr if b'"something_new"' in line)
            assert file.stat().st_size == 0
            empty(disk)
            more, said = storm.stderr.read(), storm.stdout.read()  # a pipe that nobody reads would hold it up
        assert storm.returncode == 0
        lag = float(said.split()[0])
        record_property("log_storm_full_disk_lag_ms", lag)
        (lost, *_) = called(read(file.read_bytes()), "log_lines_lost")
        assert lost["count"] > 0
        assert lost["why"] == "No space left on device"
        assert called(read(heard), "something_new")
        assert called(read(more), "log_lines_left_out")
        assert lag <= MOST_LAG, f"the loop was {lag} ms late"


def test_a_standard_error_that_nobody_reads_hurts_nobody(tmp_path: Path, record_property: Record) -> None:
    """A pipe holds 64 KiB; the storm has twenty times as much to say."""
    storm = a_storm(tmp_path / "agent.log")
    assert storm.stdout
    lag = float(storm.stdout.readline().split()[0])
    record_property("log_storm_hung_stderr_lag_ms", lag)
    assert storm.wait(timeout=30) == 0
    assert lag <= MOST_LAG, f"the loop was {lag} ms late"
    files = b"".join((tmp_path / name).read_bytes() for name in ("agent.log.2", "agent.log.1", "agent.log"))
    assert called(read(files), "tried_again")[-1]["attempt"] >= SECONDS * 1000 - 100
    for stream in (storm.stdout, storm.stderr):
        assert stream
        stream.close()
