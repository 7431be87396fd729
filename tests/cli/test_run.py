import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.settings_file import read_settings
from agent.config.load import BadSettings
from agent.model.errors import NOT_WORTH_A_RESTART


def dockworker(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agent", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PATH": os.environ["PATH"], **environ},
    )


def test_the_named_file_is_read_and_variables_beat_it(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[ecs]\ncluster = "file"\nreserved_memory = 7\n')

    settings = read_settings({"ECS_CLUSTER": "env"}, config)

    assert (settings.cluster, settings.reserved_memory) == ("env", 7)


def test_a_named_file_that_is_not_there_is_a_complaint(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="there is no such file"):
        read_settings({}, tmp_path / "missing.toml")


def test_a_file_that_is_not_text_is_a_complaint(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_bytes(b"\xff\xfe")

    with pytest.raises(BadSettings, match="cannot be read"):
        read_settings({}, config)


def test_wrong_settings_are_all_named_and_not_worth_a_restart() -> None:
    ended = dockworker("run", "--strict", ECS_RESERVED_MEMORY="much", ECS_LOGLEVEL="loud")

    assert ended.returncode == NOT_WORTH_A_RESTART
    assert 'ECS_RESERVED_MEMORY = "much"' in ended.stderr
    assert 'ECS_LOGLEVEL = "loud"' in ended.stderr


def test_a_host_without_a_config_toml_starts_as_the_reference_agent_would_and_says_what_is_wrong() -> None:
    started = dockworker(
        "run", "-blackhole-ec2-metadata", ECS_RESERVED_MEMORY="much", ECS_CLUTSER="x", ECS_UPDATES_ENABLED="true"
    )

    lines = [json.loads(line) for line in started.stderr.splitlines()]
    remarks = [line["remark"] for line in lines if line["event"] == "setting_doubted"]
    assert remarks[0].startswith('environment: ECS_RESERVED_MEMORY = "much": must be')
    assert remarks[1].endswith("ECS_CLUTSER: there is no such setting; did you mean ECS_CLUSTER?")
    (not_honoured,) = [line["names"] for line in lines if line["event"] == "settings_not_honoured"]
    assert not_honoured["ECS_UPDATES_ENABLED"].startswith("cannot apply")
    assert "region" in lines[-1]["error"].lower()


def test_an_option_that_does_not_exist_is_not_worth_a_restart() -> None:
    ended = dockworker("run", "--nope")

    assert ended.returncode == NOT_WORTH_A_RESTART
    assert "--nope" in ended.stderr


def test_a_data_directory_that_cannot_be_made_is_not_worth_a_restart(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    ended = dockworker("run", ECS_DATADIR=str(tmp_path / "file" / "data"))

    assert ended.returncode == NOT_WORTH_A_RESTART
    assert "ECS_DATADIR" in ended.stderr


def test_the_version_is_told() -> None:
    assert dockworker("--version").stdout.startswith("dockworker ")


def test_a_command_that_does_not_exist_is_told_apart_from_a_failure() -> None:
    ended = dockworker("runn")

    assert ended.returncode == 2
    assert "No such command" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", ["run", "controlplane"])
def test_a_service_starts_without_what_only_people_need(command: str) -> None:
    absent = {"rich", "typer", "pygments", "boto3"} | ({"agent.controlplane"} if command == "run" else {"agent.daemon"})
    program = f"""
import sys
from agent.cli.lean import without_rich
with without_rich():
    import agent.cli.{command}
loaded = {absent!r} & set(sys.modules)
assert not loaded, loaded
import rich
"""

    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


LOOKUPS_HANG = """
import asyncio, threading
from agent import daemon
from agent.cli import run
from agent.config.settings import Settings

async def serve(*_, told_to_stop, **__):
    answers = threading.Event()
    lookups = [asyncio.create_task(asyncio.to_thread(answers.wait, 30)) for _ in range(40)]
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(5):
            return await asyncio.to_thread(lambda: 7)
    finally:
        answers.set()
        told_to_stop.set()
        await asyncio.gather(*lookups)

daemon.serve = serve
print(asyncio.run(run.serve(Settings(), {})))
"""


def test_a_name_server_that_hangs_holds_up_nothing_else() -> None:
    ended = subprocess.run([sys.executable, "-c", LOOKUPS_HANG], capture_output=True, timeout=40, check=False)
    assert ended.stdout.endswith(b"7\n"), ended
