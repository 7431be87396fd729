import os
from dataclasses import replace
from pathlib import Path

import pytest

from agent.cli.settings_file import Places, adopt_settings, read_all
from agent.config.load import BadSettings, Loaded
from agent.config.settings import Settings

NOBODY = 65534


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """An empty host."""
    user, instance = tmp_path / "etc-ecs.config", tmp_path / "var-ecs.config"
    return Places(tmp_path / "config.toml", user, instance, (tmp_path / "plugins",))


def read(places: Places, *, strict: bool = False, options: dict[str, str] | None = None, **environ: str) -> Loaded:
    environ.setdefault("ECS_AGENT_CONFIG_FILE_PATH", str(places.config.with_name("ecs.config.json")))
    return read_all(environ, None, strict=strict, options=options, places=places)


def test_each_place_beats_the_one_below_it(places: Places) -> None:
    json = places.config.with_name("ecs.config.json")
    plugins = places.plugins[0]
    plugins.mkdir()
    (plugins / "amazon-ecs-volume-plugin.sock").touch()
    seen = [read(places).origins.get("nvidia_runtime")]
    for path, text in (
        (json, '{"NvidiaRuntime": "json"}'),
        (places.of_instance, "ECS_NVIDIA_RUNTIME=instance"),
        (places.of_user, "ECS_NVIDIA_RUNTIME=user"),
        (places.config, '[ecs]\nnvidia_runtime = "toml"'),
    ):
        path.write_text(text)
        seen.append(read(places).origins["nvidia_runtime"])
    seen.append(read(places, ECS_NVIDIA_RUNTIME="variable").origins["nvidia_runtime"])
    option = {"ECS_NVIDIA_RUNTIME": "option"}
    seen.append(read(places, ECS_NVIDIA_RUNTIME="variable", options=option).origins["nvidia_runtime"])

    assert [origin and origin.source for origin in seen] == [
        None,
        str(json),
        str(places.of_instance),
        str(places.of_user),
        str(places.config),
        "environment",
        "command line",
    ]
    assert read(places).settings.volume_plugin_capabilities == ("efsAuth",)


def test_a_host_with_nothing_has_the_defaults_and_no_plugin(places: Places) -> None:
    loaded = read_all({}, None, places=places)

    assert (loaded.settings, loaded.origins, loaded.remarks) == (Settings(), {}, ())


def test_a_host_that_has_ecs_config_alone_keeps_the_reference_agents_openness(places: Places) -> None:
    places.of_user.write_text("ECS_CLUSTER=mine\nECS_CONTAINER_STOP_TIMEOUT=500ms\nECS_RESERVED_MEMRY=7\n")

    loaded = read(places)

    assert (loaded.settings.cluster, loaded.settings.stop_timeout.total_seconds()) == ("mine", 1)
    assert [remark.startswith(f"{places.of_user}: ECS_") for remark in loaded.remarks] == [True, True]


@pytest.mark.parametrize("by", ["file", "option"])
def test_a_config_toml_makes_everything_strict_and_so_does_the_option(places: Places, by: str) -> None:
    places.of_user.write_text("ECS_CONTAINER_STOP_TIMEOUT=500ms\nECS_RESERVED_MEMRY=7\n")
    if by == "file":
        places.config.touch()

    with pytest.raises(BadSettings) as bad:
        read(places, strict=by == "option", ECS_LOGLEVEL="loud")

    assert [complaint.partition(" ")[0] for complaint in bad.value.complaints] == [
        f"{places.of_user}:",
        "environment:",
        f"{places.of_user}:",
    ]


def test_files_that_cannot_be_used_are_told_together_with_values(places: Places) -> None:
    places.of_user.write_bytes(b"\xff\xfe=\0")
    places.of_instance.mkdir()
    places.config.with_name("ecs.config.json").write_text('{"AWSSecret": "hush"')
    places.config.write_text("[ecs")

    with pytest.raises(BadSettings) as bad:
        read(places, DOCKER_HOST="nowhere")

    told = "\n".join(bad.value.complaints)
    assert len(bad.value.complaints) == 5
    assert "hush" not in told
    for path in (places.of_user, places.of_instance, places.config):
        assert str(path) in told
    assert "DOCKER_HOST" in told


@pytest.mark.parametrize("by", ["variable", "toml", "user", "instance"])
def test_the_json_file_is_where_any_place_says(places: Places, by: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text('{"Cluster": "elsewhere"}')
    environ = {"ECS_AGENT_CONFIG_FILE_PATH": str(elsewhere)} if by == "variable" else {}
    line = f"ECS_AGENT_CONFIG_FILE_PATH={elsewhere}"
    files = {
        "toml": (places.config, f'[ecs]\nagent_config_file_path = "{elsewhere}"'),
        "user": (places.of_user, line),
        "instance": (places.of_instance, line),
    }
    if by in files:
        files[by][0].write_text(files[by][1])

    assert read_all(environ, None, places=places).settings.cluster == "elsewhere"


def test_the_strongest_place_that_names_a_json_file_counts(places: Places, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"Cluster": "mine"}')
    places.of_user.write_text(f"ECS_AGENT_CONFIG_FILE_PATH={tmp_path / 'theirs.json'}")

    environ = {"ECS_AGENT_CONFIG_FILE_PATH": str(tmp_path / "mine.json")}

    assert read_all(environ, None, places=places).settings.cluster == "mine"


def test_json_that_cannot_be_read_ends_the_start_also_where_all_else_is_fine(places: Places) -> None:
    places.config.with_name("ecs.config.json").write_text("{")

    with pytest.raises(BadSettings, match=r"it is no JSON: .* line 1, column 2"):
        read(places)


def test_proxies_and_keys_of_ecs_config_are_for_the_whole_process_and_shown_nowhere(places: Places) -> None:
    places.of_instance.write_text("HTTP_PROXY=http://weak:1\nNO_PROXY=mine")
    places.of_user.write_text("HTTP_PROXY=http://strong:1\nAWS_SECRET_ACCESS_KEY=hush\nAWS_DEFAULT_REGION=eu-west-1\n")

    loaded = read(places, NO_PROXY="theirs")

    assert loaded.environ == {
        "HTTP_PROXY": "http://strong:1",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    assert loaded.settings.region == "eu-west-1"
    assert "hush" not in repr(loaded)


def test_a_command_that_calls_aws_finds_the_keys_of_ecs_config(places: Places) -> None:
    places.of_user.write_text("ECS_CLUSTER=mine\nAWS_SECRET_ACCESS_KEY=hush\nHTTP_PROXY=http://files:1")
    environ = {"HTTP_PROXY": "http://mine:1"}

    assert adopt_settings(environ, None, places=places).cluster == "mine"
    assert environ == {"HTTP_PROXY": "http://mine:1", "AWS_SECRET_ACCESS_KEY": "hush"}


def test_the_places_of_a_host_are_those_of_the_reference_agent() -> None:
    places = replace(Places())

    assert (str(places.of_user), str(places.of_instance)) == ("/etc/ecs/ecs.config", "/var/lib/ecs/ecs.config")
    assert str(Settings().json_config) == "/etc/ecs/ecs.config.json"


def test_a_comment_in_another_encoding_keeps_nobody_from_starting(places: Places) -> None:
    places.of_user.write_bytes("# caf\u00e9\nECS_CLUSTER=mine\nECS_NVIDIA_RUNTIME=caf\u00e9\n".encode("latin-1"))

    loaded = read(places)

    assert (loaded.settings.cluster, loaded.settings.nvidia_runtime) == ("mine", "caf\ufffd")
    assert [remark for remark in loaded.remarks if "UTF-8" in remark] == [
        f"{places.of_user}: ECS_NVIDIA_RUNTIME: its value is not UTF-8; what cannot be read is \ufffd",
    ]


@pytest.mark.parametrize("content", [bytes(64), "ECS_CLUSTER=mine\n".encode("utf-16"), b"HTTP_PROXY=a\0b\n"])
def test_a_file_of_something_else_than_text_ends_the_start(places: Places, content: bytes) -> None:
    places.of_user.write_bytes(content)

    with pytest.raises(BadSettings, match=f"{places.of_user}: cannot be read: there are zero bytes in it"):
        read(places)


def test_a_file_that_has_no_end_or_no_writer_keeps_nobody_waiting(places: Places) -> None:
    os.mkfifo(places.of_user)
    places.of_instance.symlink_to("/dev/zero")
    places.config.with_name("ecs.config.json").write_bytes(b" " * (2**20 + 1))

    with pytest.raises(BadSettings) as bad:
        read(places)

    assert bad.value.complaints == (
        f"{places.of_instance}: cannot be read: it is longer than 1 MiB",
        f"{places.of_user}: cannot be read: it is a pipe",
        f"{places.config.with_name('ecs.config.json')}: cannot be read: it is longer than 1 MiB",
    )


def test_settings_may_come_from_a_pipe_that_is_named(places: Places, tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"[ecs]\ncluster = 'mine'\n")
    os.close(write_end)

    try:
        assert read_all({}, Path(f"/dev/fd/{read_end}"), places=places).settings.cluster == "mine"
    finally:
        os.close(read_end)


def test_a_path_that_no_file_can_have_is_a_complaint(places: Places) -> None:
    places.config.write_text('[ecs]\nagent_config_file_path = "/a\\u0000b"\n')

    with pytest.raises(BadSettings, match="embedded null byte"):
        read_all({}, None, places=places)


def test_a_line_that_names_nothing_is_a_complaint_where_settings_are_strict(places: Places) -> None:
    places.of_user.write_text("\ufeffECS_CLUSTER=mine\nexport ECS_LOGLEVEL=debug\n")

    no_name = "what stands before the = is no name of a variable; the line counts for nothing"
    assert read(places).remarks == (
        f"{places.of_user}: line 1: begins with a byte order mark, so {no_name}",
        f"{places.of_user}: line 2: {no_name}",
    )
    with pytest.raises(BadSettings) as bad:
        read(places, strict=True)
    assert bad.value.complaints == read(places).remarks


def test_whoever_may_not_look_for_plugins_gets_an_answer_all_the_same(places: Places) -> None:
    places.plugins[0].mkdir(mode=0)
    nowhere = Path("/nowhere")
    blind = Places(nowhere, nowhere, nowhere, (places.plugins[0] / "in",))
    was = os.geteuid()
    os.seteuid(was or NOBODY)
    try:
        assert read_all({"ECS_AGENT_CONFIG_FILE_PATH": "/nowhere"}, None, places=blind).settings == Settings(
            json_config=nowhere
        )
    finally:
        os.seteuid(was)
