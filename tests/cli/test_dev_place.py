import shlex
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from agent.cli.dev import main, settings_for
from agent.cli.dev_options import Options, Purpose
from agent.cli.dev_place import Place, Taken
from agent.cli.listen import Address
from agent.controlplane.roles import RoleSource
from agent.model.status import PullBehavior


@pytest.fixture
def place(tmp_path: Path) -> Place:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Place(tmp_path / "a place", Address("127.0.0.1", port), "eu-west-1", "123456789012")


def test_a_place_is_held_by_one_at_a_time(place: Place) -> None:
    with place.alone(), pytest.raises(Taken, match="runs already"), place.alone():
        pass
    with place.alone():
        pass


def test_what_holds_keys_is_for_the_owner_alone(place: Place) -> None:
    with place.alone():
        place.prepare()

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [place.data, *place.data.rglob("*")]}
    assert modes == {
        "a place": 0o700,
        "lock": 0o600,
        "env": 0o600,
        "controlplane": 0o700,
        "agent": 0o700,
        "keys.json": 0o600,
    }


def test_keys_survive_and_agent_and_operator_have_their_own(place: Place) -> None:
    with place.alone():
        place.prepare()
        before = place.keys()
        place.prepare()

    assert place.keys() == before
    assert place.agent_variables()["AWS_ACCESS_KEY_ID"] != before.operator.access_key_id


def test_a_port_that_is_in_use_is_named_with_the_way_out(place: Place) -> None:
    taken = rf"{place.listen} is not free .*--listen"

    with place.alone(), socket.create_server((place.listen.host, place.listen.port)), pytest.raises(Taken, match=taken):
        place.prepare()


def test_key_pairs_that_cannot_be_read_are_told_in_one_line(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.plane_data.mkdir(parents=True)
    (place.plane_data / "keys.json").write_text("{}")

    assert main(Options(place.data, place.listen, place.region, place.account, Purpose.STAY)) == 1

    assert "keys.jsondoesnotholdtwokeypairs" in "".join(capsys.readouterr().out.split()), "wherever lines are broken"


def test_a_line_to_copy_works_in_a_shell_though_the_path_has_spaces(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with place.alone():
        place.prepare()
    line = place.to_copy("ecs list-tasks")
    source, aws = line.split(" && ")
    assert Path(shlex.split(aws)[0]).is_absolute()
    monkeypatch.setenv("AWS_PROFILE", "elsewhere")

    shown = subprocess.run(
        ["sh", "-c", f"{source} && env"], check=True, capture_output=True, text=True
    ).stdout.splitlines()

    assert f"AWS_ENDPOINT_URL={place.endpoint}" in shown
    assert "AWS_REGION=eu-west-1" in shown
    assert f"AWS_ACCESS_KEY_ID={place.keys().operator.access_key_id}" in shown
    assert not [line for line in shown if line.startswith("AWS_PROFILE")]


def test_the_log_of_the_last_time_is_kept(place: Place) -> None:
    with place.alone():
        for text in ("first", "second", "third"):
            with place.log_file() as log:
                log.write(text)

    assert place.log.read_text() == "third"
    assert place.log.with_suffix(".log.before").read_text() == "second"


def test_what_is_for_the_control_plane_of_dev_is_no_mistake_in_its_agents_settings(place: Place) -> None:
    assert settings_for(place, {"DOCKWORKER_ROLE_CREDENTIALS": "host"}) == settings_for(place, {})


def test_the_agent_of_dev_is_at_home_whatever_the_environment_says(place: Place) -> None:
    settings = settings_for(
        place,
        {
            "ECS_CLUSTER": "prod",
            "ECS_BACKEND_HOST": "https://ecs.example.com",
            "AWS_REGION": "us-east-1",
            "ECS_RESERVED_MEMORY": "5",
        },
    )

    assert settings.cluster == ""
    assert settings.share_host
    assert settings.reregister_when_inactive
    assert not settings_for(place, {"DOCKWORKER_REREGISTER_WHEN_INACTIVE": "false"}).reregister_when_inactive
    assert settings.backend_host == place.endpoint
    assert settings.region == "eu-west-1"
    assert settings.data_dir == place.data / "agent"
    assert settings.pull_behavior is PullBehavior.PREFER_CACHED
    assert settings.imds_disabled
    assert settings.reserved_memory == 5


def test_keys_of_this_host_that_cannot_be_read_are_told_where_tasks_are_to_get_them(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    options = Options(place.data, place.listen, place.region, place.account, Purpose.STAY, roles=RoleSource.HOST)

    assert main(options) == 1

    assert "the AWS credentials of this host cannot be read: ProfileNotFound" in " ".join(
        capsys.readouterr().out.split()
    )
