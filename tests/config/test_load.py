from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.load import FOUND, BadSettings, load, settle
from agent.config.reference import SETTINGS
from agent.config.settings import Settings
from agent.config.sources import Form, Given, Source
from agent.model.status import PullBehavior


def complaints(environ: dict[str, str], toml: str = "") -> tuple[str, ...]:
    with pytest.raises(BadSettings) as bad:
        load(environ, toml)
    return bad.value.complaints


def test_nothing_given_is_the_defaults() -> None:
    assert load({}) == Settings()


def test_the_table_has_one_row_for_each_field() -> None:
    rows = [setting.field for setting in SETTINGS]

    assert sorted([*rows, "not_honoured", "given"]) == sorted(field.name for field in fields(Settings))


def test_every_kind_of_value_is_read_from_a_variable() -> None:
    settings = load(
        {
            "ECS_CLUSTER": " mine ",
            "ECS_BACKEND_HOST": "ecs.example.com",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "ECS_DATADIR": "/data",
            "DOCKER_HOST": "tcp://127.0.0.1:2375",
            "ECS_RESERVED_MEMORY": "256",
            "ECS_RESERVED_PORTS": "[22, 80]",
            "ECS_DYNAMIC_HOST_PORT_RANGE": "50000-50010",
            "ECS_INSTANCE_ATTRIBUTES": '{"rack": "7"}',
            "ECS_AVAILABLE_LOGGING_DRIVERS": '["syslog"]',
            "ECS_DISABLE_PRIVILEGED": "TRUE",
            "ECS_CONTAINER_STOP_TIMEOUT": "1m30s",
            "ECS_IMAGE_PULL_BEHAVIOR": "prefer-cached",
            "ECS_LOGLEVEL": "DEBUG",
            "DOCKWORKER_LOG_FORMAT": "json",
            "DOCKWORKER_PREPULL_IMAGES": "app:1, web:2,",
            "ECS_ENGINE_AUTH_TYPE": "dockercfg",
            "ECS_ENGINE_AUTH_DATA": '{"r.example": {"auth": "dTpw"}}',
            "NON_ECS_IMAGE_MINIMUM_CLEANUP_AGE": "0s",
            "NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE": "7",
        }
    )

    assert settings == Settings(
        cluster="mine",
        backend_host="https://ecs.example.com",
        region="eu-central-1",
        data_dir=Path("/data"),
        docker_host="tcp://127.0.0.1:2375",
        reserved_memory=256,
        reserved_ports=(22, 80),
        dynamic_host_port_range=(50000, 50010),
        instance_attributes={"rack": "7"},
        available_logging_drivers=("syslog",),
        disable_privileged=True,
        stop_timeout=timedelta(seconds=90),
        pull_behavior=PullBehavior.PREFER_CACHED,
        log_level="debug",
        log_format="json",
        prepull_images=("app:1", "web:2"),
        engine_auth_type="dockercfg",
        engine_auth_data={"r.example": {"auth": "dTpw"}},
        non_ecs_image_minimum_cleanup_age=timedelta(0),
        nonecs_num_containers_delete_per_cycle=7,
    )


def test_settings_of_images_that_are_not_of_ecs_stand_with_the_others() -> None:
    text = """
    [ecs]
    non_ecs_image_minimum_cleanup_age = "2h"
    engine_auth_type = "dockercfg"
    [ecs.engine_auth_data."r.example"]
    auth = "dTpw"
    """

    settings = load({}, text)

    assert settings.non_ecs_image_minimum_cleanup_age == timedelta(hours=2)
    assert settings.engine_auth_data == {"r.example": {"auth": "dTpw"}}


@pytest.mark.parametrize("text", ["hush-hush", '["hush-hush"]', '{"r": "hush-hush"}'])
def test_a_login_is_shown_nowhere(text: str) -> None:
    (found,) = complaints({"ECS_ENGINE_AUTH_DATA": text})

    assert found.startswith("ECS_ENGINE_AUTH_DATA: must be a table")
    assert "hush" not in found
    login = {"ECS_ENGINE_AUTH_TYPE": "docker", "ECS_ENGINE_AUTH_DATA": '{"r": {"username": "me", "password": "hush"}}'}
    assert "hush" not in repr(load(login))


LOGIN = '{"r": {"password": "hush"}}'


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"ECS_ENGINE_AUTH_TYPE": "docker"}, "ECS_ENGINE_AUTH_DATA: must be given, because ECS_ENGINE_AUTH_TYPE is"),
        ({"ECS_ENGINE_AUTH_DATA": LOGIN}, "ECS_ENGINE_AUTH_TYPE: must be dockercfg or docker, because ECS_ENGINE_"),
        (
            {"ECS_ENGINE_AUTH_TYPE": "docker", "ECS_ENGINE_AUTH_DATA": LOGIN},
            'ECS_ENGINE_AUTH_DATA["r"]: must hold username and password',
        ),
        (
            {"ECS_ENGINE_AUTH_TYPE": "dockercfg", "ECS_ENGINE_AUTH_DATA": '{"r": {"auth": "hush"}}'},
            'ECS_ENGINE_AUTH_DATA["r"].auth: must be base64 of user:password',
        ),
    ],
)
def test_logins_that_make_no_sense_are_a_complaint_or_none_at_all(given: dict[str, str], complaint: str) -> None:
    (found,) = complaints(given)
    loaded = settle(Given((Source("here", Form.TEXT, given),), strict=False))

    assert found.startswith(complaint)
    assert loaded.remarks == (f"here: {found}; no registry is logged in to",)
    assert (loaded.settings.engine_auth_type, loaded.settings.engine_auth_data) == ("", {})
    assert "hush" not in found


def test_the_settings_of_containers_and_tasks_are_read() -> None:
    settings = load(
        {
            "ECS_ENABLE_TASK_CPU_MEM_LIMIT": "false",
            "ECS_CGROUP_PATH": "/cgroup",
            "ECS_CGROUP_CPU_PERIOD": "8ms",
            "ECS_TASK_PIDS_LIMIT": "4194304",
            "ECS_PROPAGATE_TASK_MEMORY_LIMIT_CGROUPV2": "true",
            "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER": "1h",
            "ECS_CONTAINER_CREATE_TIMEOUT": "1m",
            "ECS_CONTAINER_START_TIMEOUT": "45s",
            "ECS_SHARED_VOLUME_MATCH_FULL_CONFIG": "1",
            "ECS_VOLUME_PLUGIN_CAPABILITIES": '["efsAuth"]',
            "ECS_NVIDIA_RUNTIME": "nvidia-2",
            "ECS_ENABLE_GPU_SUPPORT": "true",
            "ECS_ENABLE_INF_SUPPORT": "true",
            "ECS_EXCLUDE_IPV6_PORTBINDING": "false",
            "ECS_SELINUX_CAPABLE": "true",
            "ECS_APPARMOR_CAPABLE": "true",
            "ECS_DISABLE_DOCKER_HEALTH_CHECK": "true",
            "DOCKWORKER_OCI_RUNTIME": "runsc",
        }
    )

    assert settings == Settings(
        task_cpu_mem_limit=False,
        cgroup_path=Path("/cgroup"),
        cgroup_cpu_period=timedelta(milliseconds=8),
        task_pids_limit=4194304,
        propagate_task_memory_limit=True,
        cleanup_wait_jitter=timedelta(hours=1),
        container_create_timeout=timedelta(minutes=1),
        container_start_timeout=timedelta(seconds=45),
        shared_volume_match_full_config=True,
        volume_plugin_capabilities=("efsAuth",),
        nvidia_runtime="nvidia-2",
        enable_gpu_support=True,
        enable_inf_support=True,
        exclude_ipv6_portbinding=False,
        selinux_capable=True,
        apparmor_capable=True,
        disable_docker_health_check=True,
        oci_runtime="runsc",
    )
    assert load({}, "[oci]\nruntime = 'runsc'").oci_runtime == "runsc"


def test_limits_of_tasks_can_be_asked_for_refused_or_left_open() -> None:
    limits = {"true": True, "false": False, "": None}

    assert {text: load({"ECS_ENABLE_TASK_CPU_MEM_LIMIT": text}).task_cpu_mem_limit for text in limits} == limits


def test_a_word_out_of_an_enumeration_becomes_its_member() -> None:
    assert load({"ECS_IMAGE_PULL_BEHAVIOR": "prefer-cached"}).pull_behavior is PullBehavior.PREFER_CACHED
    assert load({}, "[ecs]\nimage_pull_behavior = 'prefer-cached'").pull_behavior is PullBehavior.PREFER_CACHED


def test_the_same_values_are_read_from_toml() -> None:
    text = """
    [ecs]
    cluster = "mine"
    reserved_memory = 256
    reserved_ports = [22, 80]
    disable_privileged = true
    container_stop_timeout = "1m30s"
    instance_attributes = { rack = "7" }
    [aws]
    region = "eu-central-1"
    [log]
    format = "json"
    """

    assert load({}, text) == Settings(
        cluster="mine",
        reserved_memory=256,
        reserved_ports=(22, 80),
        disable_privileged=True,
        stop_timeout=timedelta(seconds=90),
        instance_attributes={"rack": "7"},
        region="eu-central-1",
        log_format="json",
    )


def test_the_environment_beats_the_file_even_with_zero_and_false() -> None:
    text = "[ecs]\nreserved_memory = 256\ndisable_privileged = true\ncluster = 'file'"

    settings = load({"ECS_RESERVED_MEMORY": "0", "ECS_DISABLE_PRIVILEGED": "false", "ECS_CLUSTER": "env"}, text)

    assert (settings.reserved_memory, settings.disable_privileged, settings.cluster) == (0, False, "env")


@pytest.mark.parametrize("nothing", ["", "[]"])
def test_an_empty_value_means_not_given(nothing: str) -> None:
    assert load({"ECS_RESERVED_PORTS": nothing}, "[ecs]\nreserved_ports = [22]").reserved_ports == (22,)
    assert load({"ECS_RESERVED_PORTS": nothing}).reserved_ports == Settings().reserved_ports


def test_the_default_region_variable_comes_before_the_other() -> None:
    assert load({"AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "eu-west-1"}).region == "eu-west-1"
    assert load({"AWS_REGION": "us-west-2"}).region == "us-west-2"


def test_instance_metadata_is_asked_over_ipv6_where_that_is_wanted_and_no_endpoint_is_given() -> None:
    mode = {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE": "IPv6"}

    assert load(mode).imds_endpoint == "http://[fd00:ec2::254]"
    assert load({**mode, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://m"}).imds_endpoint == "http://m"


def test_all_complaints_come_at_once_each_with_name_value_and_rule() -> None:
    found = complaints(
        {"ECS_RESERVED_MEMORY": "12x", "ECS_CONTAINER_STOP_TIMEOUT": "30"}, "[ecs]\nimage_pull_behavior = 'sometimes'"
    )

    assert sorted(found) == [
        'ECS_CONTAINER_STOP_TIMEOUT = "30": must be a duration such as 90s or 1h30m, at least 1s',
        'ECS_RESERVED_MEMORY = "12x": must be a whole number of MiB from 0 to 65535',
        'ecs.image_pull_behavior = "sometimes": must be one of default, always, once, prefer-cached',
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ECS_RESERVED_MEMORY", "-1"),
        ("ECS_RESERVED_MEMORY", "65536"),
        ("ECS_RESERVED_PORTS", "[70000]"),
        ("ECS_RESERVED_PORTS", "22"),
        ("ECS_RESERVED_PORTS", "[22"),
        ("ECS_DYNAMIC_HOST_PORT_RANGE", "9-1"),
        ("ECS_DYNAMIC_HOST_PORT_RANGE", "1-65536"),
        ("ECS_CONTAINER_STOP_TIMEOUT", "500ms"),
        ("ECS_CONTAINER_STOP_TIMEOUT", "-30s"),
        ("ECS_CONTAINER_CREATE_TIMEOUT", "59s"),
        ("ECS_CONTAINER_START_TIMEOUT", "44s"),
        ("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER", "-1s"),
        ("ECS_ENABLE_TASK_CPU_MEM_LIMIT", "on"),
        ("ECS_CGROUP_PATH", "sys/fs/cgroup"),
        ("ECS_CGROUP_CPU_PERIOD", "7ms"),
        ("ECS_CGROUP_CPU_PERIOD", "101ms"),
        ("ECS_TASK_PIDS_LIMIT", "-1"),
        ("ECS_TASK_PIDS_LIMIT", "4194305"),
        ("ECS_VOLUME_PLUGIN_CAPABILITIES", "efsAuth"),
        ("ECS_VOLUME_PLUGIN_CAPABILITIES", '["efs auth"]'),
        ("ECS_IMAGE_PULL_INACTIVITY_TIMEOUT", "59s"),
        ("ECS_MANIFEST_PULL_TIMEOUT", "29s"),
        ("ECS_IMAGE_CLEANUP_INTERVAL", "often"),
        ("ECS_IMAGE_CLEANUP_INTERVAL", "9m59s"),
        ("ECS_NUM_IMAGES_DELETE_PER_CYCLE", "some"),
        ("ECS_NUM_IMAGES_DELETE_PER_CYCLE", "0"),
        ("NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE", "-3"),
        ("ECS_ENGINE_AUTH_TYPE", "basic"),
        ("ECS_IMAGE_PULL_BEHAVIOR", "DEFAULT"),
        ("ECS_DISABLE_PRIVILEGED", "yes"),
        ("ECS_INSTANCE_ATTRIBUTES", '{"rack": 7}'),
        ("ECS_INSTANCE_ATTRIBUTES", "rack=7"),
        ("ECS_AVAILABLE_LOGGING_DRIVERS", '["smoke"]'),
        ("ECS_LOGLEVEL", "loud"),
        ("ECS_DATADIR", "relative"),
        ("ECS_BACKEND_HOST", "ftp://host"),
        ("ECS_BACKEND_HOST", "http://host:0"),
        ("ECS_BACKEND_HOST", "http://host:99999"),
        ("DOCKER_HOST", "/var/run/docker.sock"),
        ("DOCKWORKER_LOG_FORMAT", "xml"),
    ],
)
def test_a_value_that_breaks_its_rule_is_a_complaint_that_names_it(name: str, text: str) -> None:
    (found,) = complaints({name: text})

    assert found.startswith(f"{name} = ")
    assert ": must be " in found


def test_a_toml_value_of_the_wrong_type_is_a_complaint() -> None:
    (found,) = complaints({}, "[ecs]\nreserved_memory = true")

    assert found.startswith("ecs.reserved_memory = true: must be a whole number")


@pytest.mark.parametrize(
    ("toml", "near"),
    [
        ("[ecs]\ncontainer_stop_timout = '3s'", "ecs.container_stop_timeout"),
        ("cluster = 'mine'", "ecs.cluster"),
        ("[logs]\nformat = 'json'", "log.format"),
    ],
)
def test_a_key_that_does_not_exist_is_a_complaint_with_the_nearest_one(toml: str, near: str) -> None:
    (found,) = complaints({}, toml)

    assert found.endswith(f"there is no such setting; did you mean {near}?")


def test_a_variable_of_ours_that_does_not_exist_is_a_complaint() -> None:
    assert complaints({"DOCKWORKER_LOG_FROMAT": "json"}) == (
        "DOCKWORKER_LOG_FROMAT: there is no such setting; did you mean DOCKWORKER_LOG_FORMAT?",
    )


def test_text_that_is_not_toml_is_one_complaint() -> None:
    (found,) = complaints({}, "[ecs")

    assert found.startswith("config.toml is not TOML: ")


@pytest.mark.parametrize("toml", ["a = " + "[" * 5000, "a = " + "9" * 5000])
def test_toml_that_no_reader_can_hold_is_one_complaint(toml: str) -> None:
    (found,) = complaints({}, toml)

    assert found.startswith("config.toml is not TOML: ")


def test_a_complaint_over_a_long_value_is_short() -> None:
    (found,) = complaints({"ECS_LOGLEVEL": "loud" * 10_000})

    assert found.startswith('ECS_LOGLEVEL = "loudloud')
    assert "...: must be one of debug" in found
    assert len(found) < 500


def test_secrets_are_in_no_complaint() -> None:
    toml = "[aws]\nsecret_access_key = 'hush-1'\n[dockr]\npassword = 'hush-2'"

    found = complaints({"ECS_BACKEND_HOST": "http://me:hush-3@host"}, toml)

    assert len(found) == 3
    assert "hush" not in str(found)
    assert "keys do not belong in this file" in str(found)


@pytest.mark.parametrize("name", ["ECS_BACKEND_HOST", "DOCKER_HOST", "DOCKWORKER_AGENT_ENDPOINT"])
@pytest.mark.parametrize(
    "url",
    [
        "http://me:{}@host",
        "me:{}@host",
        "http://me:{}/{}@host",
        "http://me:{}@{}@host",
        "me:{}://{}@host",
        "ftp://host/?token={}",
    ],
)
def test_keys_in_a_url_are_in_no_complaint_however_odd_it_is(name: str, url: str) -> None:
    (complaint,) = complaints({name: url.format("hush", "hush")})

    assert "hush" not in complaint
    assert "host" in complaint


def test_keys_in_a_url_of_a_toml_list_are_in_no_complaint() -> None:
    (complaint,) = complaints({}, "[ecs]\nreserved_ports = ['tcp://me:hu/sh@host']")

    assert "hu/sh" not in complaint
    assert "sh@" not in complaint


def test_what_only_the_reference_agent_knows_is_named_and_harms_nothing() -> None:
    settings = load({"ECS_ENABLE_TASK_ENI": "true", "ECS_POLL_METRICS": ""}, "[ecs]\nenable_firelens_async = true")

    assert settings == Settings(not_honoured=("ECS_ENABLE_TASK_ENI", "ecs.enable_firelens_async"))


@given(st.dictionaries(st.sampled_from([name for setting in SETTINGS for name in setting.variables]), st.text()))
def test_whatever_the_variables_hold_the_answer_is_settings_or_complaints(environ: dict[str, str]) -> None:
    try:
        settings = load(environ)
    except BadSettings as bad:
        told = bad.complaints
    else:
        told = ()
        assert settings.stop_timeout >= timedelta(seconds=1)

    assert all(any(complaint.startswith(name) for name in environ) for complaint in told)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (
            {"DOCKWORKER_DISK_HIGH_WATERMARK": "70"},
            "DOCKWORKER_DISK_LOW_WATERMARK = 80: must be less than DOCKWORKER_DISK_HIGH_WATERMARK, which is 70",
        ),
        (
            {"DOCKWORKER_DISK_HIGH_WATERMARK": "95"},
            "DOCKWORKER_DISK_HIGH_WATERMARK = 95: must be less than DOCKWORKER_DISK_CRITICAL_WATERMARK, which is 95",
        ),
        (
            {"DOCKWORKER_DISK_CRITICAL_WATERMARK": "101"},
            'DOCKWORKER_DISK_CRITICAL_WATERMARK = "101": must be a whole number per cent from 1 to 100',
        ),
    ],
)
def test_the_marks_of_a_disk_rise(given: dict[str, str], complaint: str) -> None:
    assert complaints(given) == (complaint,)


def test_marks_that_rise_are_taken() -> None:
    settings = load({}, "[disk]\nlow_watermark = 10\nhigh_watermark = 20\ncritical_watermark = 100\n")

    marks = settings.disk_low_watermark, settings.disk_high_watermark, settings.disk_critical_watermark
    assert marks == (10, 20, 100)


@pytest.mark.parametrize("form", [Form.TEXT, Form.TOML])
def test_an_empty_list_takes_back_what_was_found_on_the_machine_and_nothing_else(form: Form) -> None:
    name, written = {
        Form.TEXT: ("ECS_VOLUME_PLUGIN_CAPABILITIES", "[]"),
        Form.TOML: ("ecs.volume_plugin_capabilities", []),
    }[form]
    said = {"ECS_VOLUME_PLUGIN_CAPABILITIES": '["efsAuth"]'}
    empty = Source("empty", form, {name: written})

    assert settle(Given((Source(FOUND, Form.TEXT, said), empty))).settings.volume_plugin_capabilities == ()
    assert settle(Given((Source("file", Form.TEXT, said), empty))).settings.volume_plugin_capabilities == ("efsAuth",)
