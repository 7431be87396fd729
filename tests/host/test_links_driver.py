import asyncio
from pathlib import Path

from agent.host.links_driver import LinksDriver
from tests.host.veth import a_link, a_mac


def keys(driver: LinksDriver) -> frozenset[str]:
    return asyncio.run(driver.keys())


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_link_is_known_by_its_address_as_soon_as_it_is_there_and_no_longer_than_it_is() -> None:
    mac = a_mac()
    assert mac not in keys(LinksDriver())
    with a_link(mac.upper()):
        assert mac in keys(LinksDriver())
    assert mac not in keys(LinksDriver())


def test_disks_are_known_by_the_serial_number_that_their_driver_shows(tmp_path: Path) -> None:
    write(tmp_path / "block" / "nvme1n1" / "device" / "serial", "vol0123456789abcdef0\n")
    write(tmp_path / "block" / "vda" / "serial", "virtio-7")
    write(tmp_path / "block" / "sda" / "dev", "8:0\n")

    assert keys(LinksDriver(tmp_path, tmp_path / "udev")) == {"vol0123456789abcdef0", "virtio-7"}


def test_disks_of_this_machine_are_known_by_what_udev_says(tmp_path: Path) -> None:
    disk = next(path for path in Path("/sys/block").iterdir())
    number = (disk / "dev").read_text().strip()
    write(tmp_path / f"b{number}", "S:disk/by-id/x\nE:ID_SERIAL=long_vol0aa\nE:ID_SERIAL_SHORT=vol0aa\n")

    assert "vol0aa" in keys(LinksDriver(udev=tmp_path))
    assert "vol0aa" not in keys(LinksDriver(udev=tmp_path / "nothing"))


def test_a_host_that_shows_nothing_has_nothing(tmp_path: Path) -> None:
    assert keys(LinksDriver(tmp_path / "sys", tmp_path / "udev")) == frozenset()
