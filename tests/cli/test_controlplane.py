import asyncio
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.cli.controlplane import main
from agent.cli.plane_client import ApiError, PlaneClient
from agent.controlplane.keys_driver import KeyPair, load_or_make
from agent.controlplane.roles import RoleSource
from agent.controlplane.settings import PlaneSettings
from tests.stories.house import clean_environment

PATIENCE = 20


@contextmanager
def a_control_plane(data: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A control plane that has said where it answers, and its process."""
    command = [sys.executable, "-m", "agent", "controlplane", "--listen", "127.0.0.1:0", "--data", str(data), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as process:
        try:
            assert process.stdout
            said = process.stdout.readline()
            (url,) = re.findall(r"answers at (http://127\.0\.0\.1:\d+) ", said)
            yield url, process
        finally:
            process.kill()


def clusters(url: str, keys: KeyPair) -> object:
    async def ask() -> object:
        async with PlaneClient(url, keys, "us-east-1") as client:
            return (await client.call("ListClusters"))["clusterArns"]

    return asyncio.run(ask())


def test_it_says_where_it_answers_and_takes_the_keys_it_made(tmp_path: Path) -> None:
    with a_control_plane(tmp_path / "data") as (url, process):
        assert clusters(url, load_or_make(tmp_path / "data").operator) == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def test_other_keys_are_refused(tmp_path: Path) -> None:
    with a_control_plane(tmp_path) as (url, _), pytest.raises(ApiError):
        clusters(url, KeyPair("AKIAELSEWHERE", "made up"))


def test_without_auth_any_keys_will_do(tmp_path: Path) -> None:
    with a_control_plane(tmp_path, "--no-auth") as (url, _):
        assert clusters(url, KeyPair("AKIAELSEWHERE", "made up")) == []


def test_the_files_to_source_are_for_the_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "operator.env").touch(0o644)
    with a_control_plane(tmp_path) as (url, process):
        assert process.stdout
        assert "operator.env" in process.stdout.readline()
        agent, operator = tmp_path / "agent.env", tmp_path / "operator.env"

        assert [stat.S_IMODE(path.stat().st_mode) for path in (agent, operator)] == [0o600, 0o600]
        assert f"export ECS_BACKEND_HOST={url}\n" in agent.read_text()
        assert f"export AWS_ENDPOINT_URL={url}\n" in operator.read_text()


def test_an_address_that_is_taken_is_worth_a_restart_and_named(tmp_path: Path) -> None:
    with a_control_plane(tmp_path / "one") as (url, _):
        address = url.removeprefix("http://")
        ended = subprocess.run(
            [sys.executable, "-m", "agent", "controlplane", "--listen", address, "--data", str(tmp_path / "two")],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            env=clean_environment(),
        )

    assert ended.returncode == 1
    assert address in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("option", "value"), [("--listen", "nowhere"), ("--account", "12"), ("--region", "US East")])
def test_a_wrong_option_is_named_with_its_rule(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--data", "/nonexistent", option, value])

    assert f"argument {option}: '{value}' must be" in capsys.readouterr().err


def test_where_credentials_of_roles_come_from_is_told_by_an_option_or_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[RoleSource] = []

    async def serve(settings: PlaneSettings) -> int:
        given.append(settings.role_credentials)
        return 0

    monkeypatch.setattr("agent.cli.controlplane.serve", serve)
    monkeypatch.setattr("agent.cli.logs.configure", lambda *_: None)  # it would hold on to what this test writes to
    monkeypatch.delenv("DOCKWORKER_ROLE_CREDENTIALS", raising=False)
    here = ["--data", str(tmp_path)]
    assert main(here) == 0
    monkeypatch.setenv("DOCKWORKER_ROLE_CREDENTIALS", "host")
    assert main(here) == 0
    assert main([*here, "--role-credentials", "assume"]) == 0
    assert given == [RoleSource.LOCAL, RoleSource.HOST, RoleSource.ASSUME]

    monkeypatch.setenv("DOCKWORKER_ROLE_CREDENTIALS", "nowhere")
    with pytest.raises(SystemExit):
        main(here)
    assert "argument --role-credentials: 'nowhere' must be one of local, host, assume" in capsys.readouterr().err


def spoil_keys(data: Path) -> None:
    data.mkdir()
    (data / "keys.json").write_text("{")


@pytest.mark.parametrize(("spoil", "code"), [(lambda data: data.write_text("a file"), 1), (spoil_keys, 5)])
def test_a_directory_that_cannot_be_used_is_named_in_one_line(
    spoil: Callable[[Path], object], code: int, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    spoil(data)

    ended = subprocess.run(
        [sys.executable, "-m", "agent", "controlplane", "--listen", "127.0.0.1:0", "--data", str(data)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=clean_environment(),
    )

    assert ended.returncode == code
    assert str(data) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_key_pair_for_one_agent_more_is_made_beside_a_control_plane_that_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_control_plane(tmp_path) as (url, _):
        assert main(["agent-key", "--data", str(tmp_path), "--listen", url.removeprefix("http://")]) == 0
        said = dict(re.findall(r"export (\w+)=(\S+)", capsys.readouterr().out))
        assert said["ECS_BACKEND_HOST"] == said["AWS_ENDPOINT_URL"] == url
        with pytest.raises(ApiError, match="ecs:ListClusters"):
            clusters(url, KeyPair(said["AWS_ACCESS_KEY_ID"], said["AWS_SECRET_ACCESS_KEY"]))


def test_no_key_pair_is_made_where_no_control_plane_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        assert main(["agent-key", "--data", str(folder)]) == 5
        assert f"{folder} is no control plane's directory" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
