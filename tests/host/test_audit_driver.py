import asyncio
import stat
import threading
from dataclasses import dataclass, field
from pathlib import Path

from structlog.testing import capture_logs

from agent.config.load import load
from agent.config.settings import Settings
from agent.host.audit_driver import AGAIN_AFTER, AuditFile


@dataclass
class Disk:
    """Takes lines, or fails as often as the test says."""

    failures: int = 0
    taken: list[str] = field(default_factory=list)
    closed: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)

    async def until_taken(self, count: int) -> None:
        """Return once so many lines are there."""

        def wait() -> None:
            with self.changed:
                assert self.changed.wait_for(lambda: len(self.taken) >= count, timeout=10)

        await asyncio.to_thread(wait)

    def write(self, lines: bytes) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("No space left on device")
        with self.changed:
            self.taken += lines.decode().splitlines()
            self.changed.notify_all()

    def piece(self, lines: list[bytes]) -> int:
        return min(2, len(lines))

    def close(self) -> None:
        self.closed = True


def run(file: AuditFile, lines: int, words: str = "") -> None:
    """Note *lines*, and end the file."""

    async def story() -> None:
        job = asyncio.create_task(file.run())
        await asyncio.sleep(0)
        for number in range(lines):
            file.note(f"line {number}{words}")
        await asyncio.sleep(0)
        job.cancel()
        await asyncio.wait({job})

    asyncio.run(story())


def test_each_line_is_in_the_file_which_nobody_else_may_read(tmp_path: Path) -> None:
    path = tmp_path / "ecs" / "audit.log"

    run(AuditFile.of(load({"ECS_AUDIT_LOGFILE": str(path)})), 50)

    assert path.read_text().splitlines() == [f"line {number}" for number in range(50)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_rolls_with_the_settings_of_the_log(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    settings = {
        "ECS_AUDIT_LOGFILE": str(path),
        "ECS_LOG_MAX_FILE_SIZE_MB": "0.1",
        "ECS_LOG_MAX_ROLL_COUNT": "2",
        "ECS_LOG_ROLLOVER_TYPE": "none",
    }

    run(AuditFile.of(load(settings)), 50, words=" by somebody" * 1000)

    assert sorted(one.name for one in tmp_path.iterdir()) == ["audit.log", "audit.log.1", "audit.log.2"]
    assert all(one.stat().st_size <= 100_000 for one in tmp_path.iterdir())
    assert path.read_text().splitlines()[-1].startswith("line 49 ")


def test_where_there_is_to_be_none_nothing_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    file = AuditFile.of(Settings(audit_log_file=path, audit_log_disabled=True))

    run(file, 10)

    assert not path.exists()


def test_a_disk_that_takes_nothing_keeps_nobody_waiting_and_gets_the_newest_later() -> None:
    disk, pauses = Disk(failures=2), list[float]()
    done = asyncio.Event()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        for number in range(3):
            file.note(f"pause {len(pauses)} {number}")
        if len(pauses) == 2:
            done.set()

    file = AuditFile(disk, most=4, pause=pause)

    async def story() -> None:
        job = asyncio.create_task(file.run())
        file.note("first")
        await done.wait()
        job.cancel()
        await asyncio.wait({job})

    with capture_logs() as told:
        asyncio.run(story())

    assert disk.taken == ["pause 1 2", "pause 2 0", "pause 2 1", "pause 2 2"]
    assert disk.closed
    assert pauses == [AGAIN_AFTER] * 2
    assert [one["event"] for one in told if "not_written" in one["event"]] == ["audit_log_not_written"]


def test_what_was_lost_is_counted_and_said_when_the_disk_is_well_again() -> None:
    disk = Disk(failures=1)
    again = asyncio.Event()

    async def pause(_: float) -> None:
        if again.is_set():  # the disk has failed once more
            raise asyncio.CancelledError
        for number in range(5):
            file.note(f"later {number}")
        again.set()

    file = AuditFile(disk, most=3, pause=pause)

    async def story() -> None:
        job = asyncio.create_task(file.run())
        file.note("first")
        await again.wait()
        await disk.until_taken(3)
        disk.failures = 2
        file.note("last")
        await asyncio.wait({job})

    with capture_logs() as told:
        asyncio.run(story())

    assert disk.taken == ["later 2", "later 3", "later 4"]
    assert {one["event"]: one.get("lines_lost") for one in told}["audit_log_written_again"] == 3
