import asyncio
import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.membership import ports
from agent.model.decision import Decision, ManifestTaken
from agent.model.identity import Identity
from agent.store.identity_driver import IdentityFile
from agent.store.journal_driver import FILE_NAME, own_journal

T0 = datetime(2026, 1, 15, 12, tzinfo=UTC)
OLD = Identity("0a" * 16, "demo", "arn:old", "", "us-east-1a", "i-1")
NEW = Identity("0a" * 16, "demo", "arn:new")

DIES = """
import asyncio, os, sys
from pathlib import Path
from agent.model.identity import Identity
from agent.store.identity_driver import IdentityFile

real = Path.replace
def dying(self, target):
    if sys.argv[2] == "after":
        real(self, target)
    os.kill(os.getpid(), 9)
Path.replace = dying
asyncio.run(IdentityFile(Path(sys.argv[1])).write(Identity("0a" * 16, "demo", "arn:new")))
"""

WRITES_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from agent.model.identity import Identity
from agent.store.identity_driver import IdentityFile

async def main():
    file, number = IdentityFile(Path(sys.argv[1])), 0
    while True:
        number += 1
        await file.write(Identity("0a" * 16, "demo", f"arn:{number}" * 200))
        print(number, flush=True)
asyncio.run(main())
"""


def read(path: Path) -> Identity | None:
    return asyncio.run(IdentityFile(path, lambda: T0).read())


def write(path: Path, identity: Identity) -> None:
    asyncio.run(IdentityFile(path).write(identity))


def test_an_identity_is_read_as_it_was_written(tmp_path: Path) -> None:
    file: ports.IdentityFile = IdentityFile(tmp_path / "data" / "identity.json")

    async def story() -> None:
        assert await file.read() is None
        await file.write(OLD)
        assert await file.read() == OLD
        await file.write(NEW)
        assert await file.read() == NEW

    asyncio.run(story())
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["identity.json"]


def test_only_the_owner_may_read_it_whatever_the_umask_and_whatever_lay_there(tmp_path: Path) -> None:
    path, stale = tmp_path / "identity.json", tmp_path / "identity.json.new"
    stale.write_text("left by a crash")
    stale.chmod(0o666)
    before = os.umask(0)
    try:
        write(path, OLD)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("when", "found"), [("before", OLD), ("after", NEW)])
def test_a_kill_around_the_rename_leaves_the_old_or_the_new(tmp_path: Path, when: str, found: Identity) -> None:
    path = tmp_path / "identity.json"
    write(path, OLD)

    killed = subprocess.run([sys.executable, "-c", DIES, str(path), when], check=False, timeout=60)

    assert killed.returncode == -signal.SIGKILL
    assert read(path) == found
    write(path, OLD)
    assert read(path) == OLD


def test_a_kill_at_any_moment_leaves_a_whole_identity(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    for writes in (1, 5, 20):
        with subprocess.Popen([sys.executable, "-c", WRITES_FOR_EVER, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(writes):
                last = int(writer.stdout.readline())
            writer.kill()
            last = max([last, *map(int, writer.stdout.read().split())])

        found = read(path)

        assert found is not None
        assert found.instance_arn in (f"arn:{last}" * 200, f"arn:{last + 1}" * 200)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\x00",
        b"[]",
        b'{"identity": {"agent_id": "", "cluster": "demo"}}',
        b'{"identity": {"agent_id": 7, "cluster": "demo"}}',
        b'{"form": 9, "min_reader": 9, "identity": {"agent_id": "ab", "cluster": "demo"}}',
        b'{"form": 1, "min_reader": 1, "identity": {"agent_id": "0a0a0a0a',
        b"[" * 100_000,
    ],
)
def test_a_file_that_cannot_be_used_is_set_aside_with_its_date(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "identity.json"
    path.write_bytes(text)

    assert read(path) is None

    assert not path.exists()
    assert (tmp_path / "identity.json.aside-20260115T120000Z").read_bytes() == text


def test_a_later_form_that_we_can_read_is_read(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    path.write_text('{"form": 9, "min_reader": 1, "new": 1, "identity": {"agent_id": "ab", "cluster": "c", "more": 2}}')
    assert read(path) == Identity("ab", "c")


def test_a_disk_that_refuses_says_so_and_the_old_identity_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "identity.json"
    write(path, OLD)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write(path, NEW)

    assert read(path) == OLD


def test_contents_reach_the_disk_before_the_rename_and_the_rename_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "identity.json", []
    write(path, OLD)
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        what = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        seen.append((what, NEW.instance_arn in path.read_text()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    write(path, NEW)

    assert seen == [("file", False), ("folder", True)]


def test_a_directory_in_its_place_is_set_aside_too(tmp_path: Path) -> None:
    (tmp_path / "identity.json").mkdir()
    assert read(tmp_path / "identity.json") is None
    write(tmp_path / "identity.json", OLD)
    assert read(tmp_path / "identity.json") == OLD


def test_a_file_that_is_lost_or_damaged_is_made_up_for_by_the_copy_in_the_journal(tmp_path: Path) -> None:
    path, rows = tmp_path / "identity.json", tmp_path / FILE_NAME

    async def story() -> None:
        async with own_journal(rows, OLD.agent_id) as (journal, _):
            file = IdentityFile(path, journal=rows)
            await file.write(OLD)
            await file.copy_to(journal.keep_identity, OLD)
            await file.write(NEW)
        path.unlink()
        assert await IdentityFile(path, journal=rows).read() == NEW
        path.write_bytes(b"nonsense")
        assert await IdentityFile(path, journal=rows).read() == NEW
        await IdentityFile(path).write(OLD)
        assert await IdentityFile(path, journal=rows).read() == OLD  # the file comes first
        rows.write_bytes(b"nonsense")
        path.unlink()
        assert await IdentityFile(path, journal=rows).read() is None

    asyncio.run(story())


@pytest.mark.parametrize(
    ("now", "number"),
    [(OLD, 7), (replace(OLD, drained=True), 7), (NEW, 0), (replace(OLD, cluster="other", instance_arn=""), 0)],
)
def test_lists_of_tasks_are_counted_anew_for_another_instance(tmp_path: Path, now: Identity, number: int) -> None:
    async def story() -> None:
        async with own_journal(tmp_path / FILE_NAME, OLD.agent_id) as (journal, _):
            await journal.keep_identity(replace(OLD, instance_arn=""))
            await journal.commit(Decision(manifests=(ManifestTaken("m-1", 7, ()),)))
            await journal.keep_identity(OLD)
            assert await journal.manifest() == 7
            await journal.keep_identity(now)
            assert await journal.manifest() == number
        async with own_journal(tmp_path / FILE_NAME, OLD.agent_id) as (_, saved):
            assert saved.manifest == number

    asyncio.run(story())


def test_a_file_that_the_disk_does_not_give_is_no_reason_to_be_somebody_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "identity.json"
    write(path, OLD)

    def broken(_path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", broken)
    with pytest.raises(OSError, match="Input/output error"):
        read(path)


def test_an_identity_that_is_ours_no_more_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    write(path, OLD)
    asyncio.run(IdentityFile(path, lambda: T0).set_aside())
    assert not path.exists()
    assert read(tmp_path / "identity.json.aside-20260115T120000Z") == OLD
    asyncio.run(IdentityFile(path).set_aside())  # where there is none, there is nothing to do
