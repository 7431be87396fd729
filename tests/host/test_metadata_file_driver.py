"""Files of metadata on a real disk."""

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest

from agent.endpoints import metadata_file
from agent.endpoints.ports import FileState, MetadataShelf
from agent.host.metadata_file_driver import NAME, MetadataFileDriver
from agent.model.names import TaskArn

ARN = TaskArn("arn:aws:ecs:eu-west-1:111122223333:task/blue/3c1d")
SHORT = TaskArn("arn:aws:ecs:eu-west-1:111122223333:task/9f9f")
READY = json.dumps({"MetadataFileStatus": "READY"}).encode()


def shelf(folder: Path) -> MetadataShelf:
    return MetadataFileDriver(folder)


def begin(folder: Path, arn: TaskArn = ARN, container: str = "web", text: bytes = b"{}") -> Path:
    return Path(asyncio.run(shelf(folder).begin(arn, container, text)))


def state(folder: Path) -> FileState:
    return asyncio.run(shelf(folder).state(ARN, "web"))


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_has_a_folder_of_its_own_that_anybody_may_read(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        folder = begin(tmp_path, text=b"{1}")
    finally:
        os.umask(before)

    assert folder == tmp_path / "metadata" / "blue" / "3c1d" / "web"
    assert (folder / NAME).read_bytes() == b"{1}"
    assert (mode_of(folder), mode_of(folder / NAME)) == (0o755, 0o644)
    assert metadata_file.NAME == NAME


def test_a_file_that_is_there_is_not_begun_again(tmp_path: Path) -> None:
    folder = begin(tmp_path, text=b"first")

    begin(tmp_path, text=b"second")

    assert (folder / NAME).read_bytes() == b"first"


def test_a_file_is_replaced_and_never_changed(tmp_path: Path) -> None:
    folder = begin(tmp_path, text=b"first")
    with (folder / NAME).open("rb") as reader:
        asyncio.run(shelf(tmp_path).complete(ARN, "web", READY))

        assert reader.read() == b"first"
    assert (folder / NAME).read_bytes() == READY
    assert names(folder) == [NAME]


def test_how_far_a_file_is_stands_in_it(tmp_path: Path) -> None:
    assert state(tmp_path) is FileState.ABSENT
    begin(tmp_path)
    assert state(tmp_path) is FileState.BEGUN
    asyncio.run(shelf(tmp_path).complete(ARN, "web", READY))
    assert state(tmp_path) is FileState.READY


def test_what_the_container_puts_in_the_place_of_its_file_harms_nobody(tmp_path: Path) -> None:
    folder = begin(tmp_path)
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")

    (folder / NAME).unlink()
    os.mkfifo(folder / NAME)
    assert state(tmp_path) is FileState.BEGUN, "a pipe is not waited for"

    (folder / NAME).unlink()
    (folder / NAME).symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        state(tmp_path)
    asyncio.run(shelf(tmp_path).complete(ARN, "web", READY))
    assert victim.read_bytes() == b"untouched"
    assert (folder / NAME).read_bytes() == READY

    (folder / NAME).unlink()
    (folder / NAME).mkdir()
    with pytest.raises(IsADirectoryError):
        asyncio.run(shelf(tmp_path).complete(ARN, "web", READY))
    assert names(folder) == [NAME]


def test_a_task_takes_its_files_with_it_and_leaves_those_of_others(tmp_path: Path) -> None:
    other = TaskArn(ARN.replace("3c1d", "77aa"))
    for arn in (ARN, other, SHORT):
        begin(tmp_path, arn)

    asyncio.run(shelf(tmp_path).remove(ARN))
    asyncio.run(shelf(tmp_path).remove(ARN))

    assert not (tmp_path / "metadata" / "blue" / "3c1d").exists()
    assert (tmp_path / "metadata" / "blue" / "77aa" / "web" / NAME).exists()
    asyncio.run(shelf(tmp_path).remove(other))
    assert names(tmp_path / "metadata") == ["9f9f"]


def test_only_the_files_of_known_tasks_are_kept(tmp_path: Path) -> None:
    gone, elsewhere = TaskArn(ARN.replace("3c1d", "dead")), TaskArn(ARN.replace("blue", "red"))
    for arn in (ARN, SHORT, gone, elsewhere):
        begin(tmp_path, arn)

    assert asyncio.run(shelf(tmp_path).keep({ARN, SHORT}))

    kept = {path.relative_to(tmp_path / "metadata").as_posix() for path in tmp_path.rglob(NAME)}
    assert kept == {f"blue/3c1d/web/{NAME}", f"9f9f/web/{NAME}"}
    assert not asyncio.run(shelf(tmp_path).keep(()))
    assert not asyncio.run(shelf(tmp_path / "nothing").keep({ARN}))


@pytest.mark.parametrize("container", ["", "..", "a/b", "a\0"])
def test_a_name_that_is_none_has_no_file(tmp_path: Path, container: str) -> None:
    with pytest.raises(OSError, match="no name of a folder"):
        begin(tmp_path, container=container)


@pytest.mark.parametrize("arn", ["arn:task/../../x", "arn", "arn:task/", "arn:task/./x"])
def test_an_arn_that_leads_elsewhere_has_no_file(tmp_path: Path, arn: str) -> None:
    with pytest.raises(OSError, match="no names of folders"):
        begin(tmp_path, TaskArn(arn))
    with pytest.raises(OSError, match="no names of folders"):
        asyncio.run(shelf(tmp_path).remove(TaskArn(arn)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("take_away", ["remove", "keep"])
def test_folders_in_each_other_beyond_any_depth_go_too_and_links_are_not_followed(
    tmp_path: Path, take_away: str
) -> None:
    kept = tmp_path / "of the host"
    kept.mkdir()
    (kept / "file").touch()
    folder = begin(tmp_path)
    (folder / "link").symlink_to(kept)
    at = os.open(folder, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=at)
        inner = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)

    asyncio.run(shelf(tmp_path).remove(ARN) if take_away == "remove" else _keep_none(tmp_path))

    assert not folder.parent.exists()
    assert (kept / "file").exists()


async def _keep_none(folder: Path) -> None:
    assert not await shelf(folder).keep(())
