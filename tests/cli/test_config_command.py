import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.cli import config_command
from agent.cli.settings_file import Places
from agent.config.reference import SETTINGS

MOST_SECONDS = 0.5


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """An empty host, and an empty environment."""
    for name in os.environ:
        if name.startswith(("ECS_", "AWS_", "DOCKER", "SSL_", "NON")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ECS_AGENT_CONFIG_FILE_PATH", str(tmp_path / "ecs.config.json"))
    return Places(tmp_path / "config.toml", tmp_path / "ecs.config", tmp_path / "var-ecs.config", ())


def test_a_check_fails_within_half_a_second_and_names_key_value_rule_and_the_nearest_key(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[ecs]\ncontainer_stop_timeout = "500ms"\nreserved_memry = 7\n')
    command = [sys.executable, "-m", "agent", "config", "check", "--config", str(config)]
    took = []
    for _ in range(3):  # the machine may be busy: the fastest counts
        began = time.monotonic()
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, env={})
        took.append(time.monotonic() - began)

    assert ended.returncode == 5
    assert f'{config}: ecs.container_stop_timeout = "500ms": must be a duration such as 90s or 1h30m, at least 1s' in (
        ended.stderr
    )
    assert f"{config}: ecs.reserved_memry: there is no such setting; did you mean ecs.reserved_memory?" in ended.stderr
    assert min(took) <= MOST_SECONDS


def test_a_check_needs_nothing_that_is_slow_to_import() -> None:
    slow = {"aiohttp", "asyncio", "botocore", "rich", "structlog", "typer"}
    program = f"import sys, agent.cli.config_command\nassert not {slow!r} & set(sys.modules), sys.modules.keys()"

    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_settings_that_are_fine_are_said_to_be(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    places.of_user.write_text("ECS_CLUSTER=mine")

    assert config_command.main(["check"], places) == 0
    assert "are fine; 2 of" in capsys.readouterr().out


def test_a_check_is_strict_also_where_the_agent_would_start_and_says_how_it_would_go_on(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    places.of_user.write_text("ECS_CONTAINER_STOP_TIMEOUT=500ms")

    assert config_command.main(["check"], places) == 5
    assert "The agent starts all the same" in (told := capsys.readouterr().err)
    assert told.rstrip().endswith("; 1s is used")

    places.config.touch()
    assert config_command.main(["check"], places) == 5
    assert "starts" not in capsys.readouterr().err


def test_what_has_no_effect_fails_a_check_only_if_that_is_asked_to_be_strict(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    places.of_user.write_text('ECS_UPDATES_ENABLED=true\nECS_CLUSTER="mine"\n')

    assert config_command.main(["check"], places) == 0
    assert config_command.main(["check", "--strict"], places) == 5
    told = capsys.readouterr().err
    assert "ECS_UPDATES_ENABLED: cannot apply: " in told
    assert "ECS_CLUSTER: the quotes around its value are left out" in told


def test_every_setting_is_shown_with_its_value_its_origin_and_its_meaning(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    places.of_user.write_text(
        "ECS_CLUSTER=mine\nECS_DYNAMIC_HOST_PORT_RANGE=50000-50010\nHTTP_PROXY=http://me:hush@p\n"
    )

    assert config_command.main(["show", "--json"], places) == 0
    shown = json.loads(capsys.readouterr().out)

    assert [row["key"] for row in shown["settings"]] == [setting.keys[0] for setting in SETTINGS]
    assert [row["means"] for row in shown["settings"]] == [setting.says for setting in SETTINGS]
    by_key = {row["key"]: row for row in shown["settings"]}
    assert by_key["ecs.cluster"]["value"] == '"mine"'
    assert by_key["ecs.cluster"]["from"] == f"{places.of_user} (ECS_CLUSTER)"
    assert by_key["ecs.dynamic_host_port_range"]["value"] == '"50000-50010"'
    assert by_key["ecs.container_stop_timeout"] == {
        "key": "ecs.container_stop_timeout",
        "variable": "ECS_CONTAINER_STOP_TIMEOUT",
        "value": '"30s"',
        "from": "default",
        "means": "From TERM to KILL, where a container names no time of its own.",
    }
    assert shown["passed_on"] == ["HTTP_PROXY"]


def test_people_are_shown_the_same_and_what_is_to_be_looked_at(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    places.of_user.write_text("ECS_CLUSTER=mine\nECS_FOO_BAR=1\nECS_UPDATES_ENABLED=true\n")

    assert config_command.main(["show"], places) == 0
    told = capsys.readouterr().out

    means = "Name or ARN of the cluster to join; unset joins `default`."
    assert f'ecs.cluster = "mine"\n    {means}\n    ECS_CLUSTER; {places.of_user}' in told
    assert "ECS_FOO_BAR: there is no such setting" in told
    assert "ECS_UPDATES_ENABLED: cannot apply" in told


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_secrets_are_shown_nowhere(places: Places, capsys: pytest.CaptureFixture[str], form: list[str]) -> None:
    places.of_user.write_text(
        "ECS_ENGINE_AUTH_TYPE=docker\n"
        'ECS_ENGINE_AUTH_DATA={"r": {"username": "me", "password": "hush"}}\nAWS_SECRET_ACCESS_KEY=hush\nHTTPS_PROXY=http://me:hush@p\n'
    )

    assert config_command.main(["show", *form], places) == 0
    assert "hush" not in (told := capsys.readouterr().out)
    assert "(hidden)" in told


def test_settings_that_cannot_be_used_are_not_shown(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    places.of_user.write_text("DOCKER_HOST=nowhere")

    assert config_command.main(["show"], places) == 5
    assert "DOCKER_HOST" in capsys.readouterr().err


def test_a_value_that_is_no_utf_8_is_shown_escaped() -> None:
    environ: dict[str, str | bytes] = {"PYTHONIOENCODING": "utf-8:strict", "ECS_CLUSTER": b"caf\xe9"}

    ended = subprocess.run(
        [sys.executable, "-m", "agent", "config", "show"],
        capture_output=True,
        text=True,
        timeout=30,
        env=environ,
        check=True,
    )

    assert 'ecs.cluster = "caf\\udce9"' in ended.stdout


@pytest.mark.parametrize("command", [["show"], ["show", "--json"], ["check"]])
def test_nobody_who_reads_on_is_no_mistake(command: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "agent", "config", *command],
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=30,
            env={},
            check=False,
        )
    finally:
        os.close(writing)

    assert (ended.returncode, ended.stderr) == (141, b"")
