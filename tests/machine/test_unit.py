"""The unit of systemd, as systemd's own tools judge it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.run import ENDS_WITHIN, most_seconds
from agent.config.settings import Settings
from agent.membership.leave_loop import PATIENCE
from tests.host.nvml import Nvidia

UNIT = Path(__file__).parents[2] / "systemd" / "dockworker.service"
MOST_EXPOSURE = 38
"""Tenths of systemd's measure, on which a unit without hardening has 96.

Firewall rules, whose a connection is, and the networks of containers count for eight of them.
"""


AGAIN = "os.execv(sys.executable, [sys.executable, '-c', {!r}])"
"""Has a program do something in a new life, under the bounds of its old one."""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit as it is after an installation: the command is where it says."""
    command = Path(sys.executable).with_name("dockworker")
    assert command.exists()
    text = UNIT.read_text(encoding="utf-8")
    assert "ExecStart=/usr/bin/dockworker run\n" in text
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace("ExecStart=/usr/bin/dockworker ", f"ExecStart={command} "), encoding="utf-8")
    return unit


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


def values(key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)


def test_systemd_finds_no_fault_with_it(installed: Path) -> None:
    judged = analyze("verify", "--man=no", installed)

    assert (judged.returncode, judged.stderr) == (0, "")


def test_systemd_finds_fault_where_there_is_one(installed: Path) -> None:
    installed.write_text(installed.read_text().replace("[Service]", "[Service]\nNoSuchKey=1"))

    assert "NoSuchKey" in analyze("verify", "--man=no", installed).stderr


def test_it_starts_only_after_user_data_of_ec2_has_written_its_settings() -> None:
    order = " ".join(values("After")).split()

    assert {"docker.service", "cloud-final.service"} <= set(order)
    wanted = " ".join(values("Wants") + values("Requires"))
    assert "cloud-final.service" not in wanted  # many a machine has no cloud-init


def test_it_exposes_little(installed: Path) -> None:
    judged = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", installed)

    assert judged.returncode == 0, judged.stdout


def test_of_all_devices_it_reaches_those_of_the_gpu_driver_alone_also_one_that_comes_later() -> None:
    assert values("PrivateDevices") == []  # would hide them
    assert values("DevicePolicy") == ["closed"]
    assert values("DeviceAllow") == ["char-nvidia* rw", "char-195 rw"]


def test_gpus_can_be_asked_for_where_no_memory_may_be_written_and_run(tmp_path: Path) -> None:
    nvidia = Nvidia(tmp_path)
    nvidia.install()
    nvidia.show("gpu GPU-1")
    # Linux has known the bound since 6.3; an older one lets it pass, and little is shown then.
    asks = "from agent.host.gpu_driver import read_nvml; print(*read_nvml().gpus.ids)"
    bound = f"import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0); {AGAIN.format(asks)}"

    command, environ = [sys.executable, "-c", bound], {**os.environ, **nvidia.environ}
    asked = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert values("MemoryDenyWriteExecute") == ["yes"]
    assert (asked.stdout, asked.stderr) == ("GPU-1\n", "")


def test_it_can_make_the_redirect_tell_callers_apart_and_enter_the_networks_of_containers() -> None:
    may = " ".join(values("CapabilityBoundingSet")).split()

    assert {"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN"} <= set(may)
    assert values("RestrictNamespaces") == ["net"]
    assert {"-/proc/sys/net/ipv4/conf", "-/run/xtables.lock"} <= set(values("ReadWritePaths"))


def test_it_is_started_again_unless_that_would_not_help() -> None:
    assert values("Restart") == ["on-failure"]
    assert values("RestartPreventExitStatus") == ["5"]
    assert values("StartLimitIntervalSec") == ["0"]


def test_it_is_watched_and_says_when_it_is_ready() -> None:
    assert values("Type") == ["notify"]
    assert int(values("WatchdogSec")[0]) > 0


def test_it_leaves_what_the_reference_agent_reads_to_the_agent_and_keeps_its_data_to_itself() -> None:
    assert values("EnvironmentFile") == ["-/etc/dockworker/dockworker.env"]
    assert values("StateDirectory") == ["dockworker"]
    assert values("StateDirectoryMode") == ["0700"]
    assert (values("LogsDirectory"), values("LogsDirectoryMode")) == (["dockworker ecs"], ["0700"])


def test_systemd_waits_longer_than_the_agent_takes_to_stop_and_hears_when_it_takes_more() -> None:
    assert values("NotifyAccess") == ["main"]
    assert values("KillMode") == ["mixed"]
    assert int(values("TimeoutStopSec")[0]) > most_seconds(Settings())
    assert PATIENCE.total_seconds() > ENDS_WITHIN, "the last time that systemd is asked for is enough for the rest"
