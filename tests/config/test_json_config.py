import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.json_config import NotReadable, file_source, user_data_source
from agent.config.load import BadSettings, load, settle, with_user_data
from agent.config.settings import Settings
from agent.config.sources import Form, Given, Source


def open_settings(text: str, environ: dict[str, str] | None = None) -> Settings:
    source, _ = file_source(text, "file")
    return settle(Given((source, Source("environment", Form.TEXT, environ or {})), strict=False)).settings


def user_data(**keys: object) -> str:
    return json.dumps({"ECSAgentConfiguration": keys})


def test_keys_are_read_in_any_case() -> None:
    text = '{"cluster": "mine", "RESERVEDMEMORY": 7, "DockerStopTimeout": 90000000000}'

    settings = open_settings(text)

    assert (settings.cluster, settings.reserved_memory, settings.stop_timeout.seconds) == ("mine", 7, 90)


def test_a_blank_file_says_nothing() -> None:
    assert open_settings(" \n") == Settings()


@pytest.mark.parametrize("text", ["{", "[]", "7", '"x"', '{"Cluster": }', "[" * 100_000])
def test_what_is_no_json_object_is_told_without_its_text(text: str) -> None:
    with pytest.raises(NotReadable, match="JSON") as bad:
        file_source(text, "file")

    assert "Cluster" not in str(bad.value)


def test_the_old_name_of_the_cluster_counts_where_the_new_one_is_missing() -> None:
    source, remarks = file_source('{"ClusterArn": "old"}', "file")

    assert source.values == {"cluster": "old"}
    assert remarks == ("ClusterArn: is the old name of Cluster",)
    assert file_source('{"ClusterArn": "old", "Cluster": "new"}', "file")[0].values == {"cluster": "new"}


def test_false_is_an_answer_where_the_reference_agent_has_three_and_nothing_where_it_has_two() -> None:
    text = '{"ShouldExcludeIPv6PortBinding": false, "GPUSupportEnabled": false, "TaskCPUMemLimit": null}'

    assert open_settings(text).exclude_ipv6_portbinding is False
    assert open_settings('{"GPUSupportEnabled": true}', {"ECS_ENABLE_GPU_SUPPORT": "false"}).enable_gpu_support
    assert open_settings(text).task_cpu_mem_limit is None


def test_a_zero_of_a_variable_beats_another_variable_but_not_the_json() -> None:
    document, _ = file_source('{"ReservedMemory": 7}', "file")
    weaker = Source("/etc/ecs/ecs.config", Form.TEXT, {"ECS_RESERVED_MEMORY": "8"})
    zero = Source("environment", Form.TEXT, {"ECS_RESERVED_MEMORY": "0"})

    assert settle(Given((document, zero))).settings.reserved_memory == 7
    assert settle(Given((weaker, zero))).settings.reserved_memory == 0


def test_a_key_that_means_nothing_is_a_remark_with_the_nearest_one() -> None:
    source, _ = file_source('{"Clutser": "hush"}', "file")

    assert settle(Given((source,), strict=False)).remarks == (
        "file: clutser: there is no such setting; did you mean Cluster?",
    )
    with pytest.raises(BadSettings):
        settle(Given((source,)))


def test_paths_of_the_reference_agents_container_are_those_of_the_host() -> None:
    source, _ = file_source('{"DataDir": "/data/"}', "file")
    config = Source(
        "ecs.config",
        Form.TEXT,
        {"ECS_LOGFILE": "/log/ecs-agent.log", "ECS_AUDIT_LOGFILE": "/log/a.log"},
        is_of_reference=True,
    )

    settings = settle(Given((source, config))).settings

    assert settings.data_dir == Settings().data_dir
    assert str(settings.log_file) == "/var/log/ecs/ecs-agent.log"
    assert str(settings.audit_log_file) == "/var/log/ecs/a.log"


@pytest.mark.parametrize("text", ["", "#!/bin/sh\necho {}", "{", "[]", '{"other": {}}', '{"ECSAgentConfiguration": 7}'])
def test_user_data_for_somebody_else_says_nothing(text: str) -> None:
    settings = load({"ECS_CLUSTER": "mine"})

    assert with_user_data(settings, text) == (settings, ())


@given(st.text())
def test_no_user_data_breaks_it(text: str) -> None:
    user_data_source(text)


def test_user_data_is_beaten_by_everything_but_defaults_and_what_is_found() -> None:
    found = Source("found on this machine", Form.TEXT, {"ECS_NVIDIA_RUNTIME": "found", "ECS_LOG_DRIVER": "found"})
    document, _ = file_source('{"Cluster": "file"}', "file")
    settings = settle(Given((found, document))).settings

    after, remarks = with_user_data(settings, user_data(Cluster="late", NvidiaRuntime="late", ReservedMemory=7))

    assert (after.cluster, after.nvidia_runtime, after.reserved_memory) == ("file", "late", 7)
    assert after.log_driver == "found"
    assert remarks == ()


def test_settings_that_were_made_of_nothing_that_was_read_stay_as_they_are() -> None:
    settings = Settings(cluster="mine")

    assert with_user_data(settings, user_data(NvidiaRuntime="late")) == (settings, ())


def test_user_data_comes_too_late_to_say_where_data_are_kept() -> None:
    after, remarks = with_user_data(load({}), user_data(DataDir="/mine", DockerEndpoint="unix:///mine", Cluster="c"))

    assert (after.data_dir, after.docker_host, after.cluster) == (Settings().data_dir, Settings().docker_host, "c")
    assert [remark.partition(": counts")[0] for remark in remarks] == [
        "EC2 user data: DataDir",
        "EC2 user data: DockerEndpoint",
    ]


def test_a_value_of_another_type_in_user_data_ends_the_start() -> None:
    with pytest.raises(BadSettings, match="EC2 user data: ReservedMemory"):
        with_user_data(load({}), user_data(ReservedMemory="much"))


def test_only_what_is_new_is_remarked_of_user_data() -> None:
    variables = Source("environment", Form.TEXT, {"ECS_LOGLEVEL": "loud"})
    settings = settle(Given((variables,), strict=False)).settings

    _, (remark,) = with_user_data(settings, user_data(Clutser="x"))

    assert remark.startswith("EC2 user data: clutser")


def test_what_user_data_asks_for_in_vain_is_remarked() -> None:
    after, remarks = with_user_data(load({}), user_data(TaskENIEnabled=True, DisableMetrics=False))

    assert after.not_honoured == ("TaskENIEnabled",)
    assert remarks == ("EC2 user data: TaskENIEnabled: is not here yet: tasks of the network mode awsvpc are refused",)
