import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from agent.host import disk_driver
from agent.host.disk_driver import DiskDriver, fullness, root_of
from agent.images.ports import Fullness, Look
from tests.faults.small_disk import a_small_disk


def look(driver: DiskDriver) -> Look:
    async def ask() -> Look:
        async with asyncio.timeout(10):
            return await driver.look()

    return asyncio.run(ask())


def test_a_disk_is_as_full_as_df_says(tmp_path: Path) -> None:
    with a_small_disk(tmp_path / "disk") as disk:
        (disk / "half").write_bytes(b"x" * (8 << 20))
        found = fullness(disk)

        df = subprocess.run(["df", "--output=pcent,ipcent", disk], check=True, capture_output=True, text=True).stdout
        shares = [float(word.rstrip("%")) for word in df.splitlines()[1].split()]
        assert found.bytes_used == pytest.approx(50)
        assert [found.bytes_used, found.inodes_used] == pytest.approx(shares, abs=1)
        assert found.device != fullness(tmp_path).device


def test_dockers_root_is_found_by_what_docker_keeps_in_it(tmp_path: Path) -> None:
    root = tmp_path / "docker"
    root.mkdir()
    empty = look(DiskDriver(tmp_path, root))
    (root / "containers").mkdir()
    found = look(DiskDriver(tmp_path, root))

    assert (empty.docker, found.docker is not None) == (None, True), "an empty directory of that name is not Docker's"
    assert found.gains == found.docker
    assert empty.gains == empty.data


def test_the_hosts_root_is_looked_for_where_containers_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "host/srv/docker/containers").mkdir(parents=True)
    monkeypatch.setattr(disk_driver, "OF_THE_HOST", (Path("/"), tmp_path / "host"))

    found = look(DiskDriver(tmp_path, Path("/srv/docker"))).docker

    assert found is not None
    assert found.path == str(tmp_path / "host/srv/docker")


def test_docker_on_another_machine_has_its_disk_there() -> None:
    assert root_of("unix:///run/docker.sock", "/srv/docker") == Path("/srv/docker")
    assert root_of("tcp://10.0.0.1:2375", "/srv/docker") is None
    assert root_of("unix:///run/docker.sock", "") is None


def test_a_disk_that_is_gone_says_nothing(tmp_path: Path) -> None:
    found = look(DiskDriver(tmp_path / "gone", None))

    assert (found.all, found.silent) == ((), ())


def test_a_disk_that_hangs_is_told_of_in_time_asked_once_and_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    wakes = threading.Event()

    def hang(path: Path) -> Fullness:
        asked.append(path)
        if path.name == "hung":
            wakes.wait(30)
        return fullness(tmp_path)

    monkeypatch.setattr(disk_driver, "fullness", hang)
    (tmp_path / "hung/containers").mkdir(parents=True)

    async def story() -> None:
        driver = DiskDriver(tmp_path, tmp_path / "hung", patience=0.1)
        for _ in range(3):
            began = time.monotonic()
            found = await driver.look()
            assert time.monotonic() - began < 2
            assert found.silent == (str(tmp_path / "hung"),)
            assert found.data is not None
        assert asked.count(tmp_path / "hung") == 1
        wakes.set()
        async with asyncio.timeout(5):
            while (await driver.look()).silent:
                pass

    asyncio.run(story())


def test_a_disk_that_hangs_for_ever_does_not_keep_the_process_from_ending(tmp_path: Path) -> None:
    program = f"""
import asyncio, threading
from pathlib import Path
from agent.host import disk_driver
disk_driver.fullness = lambda path: threading.Event().wait()
driver = disk_driver.DiskDriver(Path({str(tmp_path)!r}), None, patience=0.1)
print(asyncio.run(driver.look()).silent)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=20)

    assert str(tmp_path) in done.stdout
