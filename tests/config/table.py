"""The whole table of settings, as data: each name, what a value does, where its bounds are.

A row: the field, a good text and what it comes to, then what is broken. `bad` texts are complaints where settings are
judged strictly; where they are not, each comes to what stands beside it: a value, `NOT_GIVEN`, or `ENDS_THE_START`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from agent.model.status import PullBehavior

NOT_GIVEN, ENDS_THE_START = object(), object()
OURS = ENDS_THE_START
"""Settings of our own are strict everywhere."""
YES = {"yes": NOT_GIVEN, "on": NOT_GIVEN}
S, M, H = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True)
class Row:
    variable: str
    name: str
    text: str
    value: object
    bad: Mapping[str, object] = field(default_factory=dict)
    toml: str = ""
    """The good value in TOML, if it is not the text as it stands, or within quotes."""
    json: object = None
    """The good value in the JSON of the reference agent."""
    json_bad: tuple[tuple[object, object], ...] = ()
    zero: str = ""
    """A text that loses to a value of the JSON file."""


def flag(variable: str, name: str, *, default: bool = False, has_json: bool = True, plain: bool = False) -> Row:
    """A switch that is thrown."""
    text = str(not default).lower()
    json = (not default) if has_json else None
    zero = "false" if plain else ""
    bad = {"yes": OURS} if variable.startswith("DOCKWORKER_") else YES
    return Row(
        variable, name, text, not default, bad, text, json, zero=zero, json_bad=((1, ENDS_THE_START),) * has_json
    )


def span(variable: str, name: str, least: timedelta, too_little: object, json_little: object, zero: str = "") -> Row:
    """A duration with a least value, less than which comes to *too_little*."""
    below = {timedelta(0): "-1s", S: "500ms", 30 * S: "29s", 45 * S: "44s", M: "59s", 10 * M: "9m59s"}[least]
    bad = {below: too_little, "soon": NOT_GIVEN, "30": NOT_GIVEN, " 99m": NOT_GIVEN, "2562048h": NOT_GIVEN}
    little = -(10**9) if least == timedelta(0) else int(least / timedelta(microseconds=1) * 1000) - 1000
    json_bad = (
        ("99m", ENDS_THE_START),
        (True, ENDS_THE_START),
        (little, json_little),
        (2**63, ENDS_THE_START),
        (10**30, ENDS_THE_START),
    )
    return Row(variable, name, "99m", 99 * M, bad, json=99 * 60 * 10**9, json_bad=json_bad, zero=zero)


def just_below(least: timedelta) -> timedelta:
    return least - timedelta(microseconds=1)


DRIVERS = '["syslog", "awsfirelens"]'
TABLE = (
    # who the instance is
    Row("ECS_CLUSTER", "cluster", " mine ", "mine", toml='"mine"', json="mine", json_bad=((7, ENDS_THE_START),)),
    Row(
        "ECS_BACKEND_HOST",
        "backend_host",
        "ecs.example",
        "https://ecs.example",
        {"ftp://x": ENDS_THE_START, "http://me:pw@x": ENDS_THE_START, "http://x:0": ENDS_THE_START},
        json="ecs.example",
    ),
    Row("AWS_DEFAULT_REGION", "region", "eu-west-1", "eu-west-1", json="eu-west-1"),
    Row("AWS_REGION", "region", "eu-west-2", "eu-west-2"),
    Row("ECS_DATADIR", "data_dir", "/d", Path("/d"), {"d": ENDS_THE_START}, json="/d"),
    Row("ECS_AGENT_CONFIG_FILE_PATH", "json_config", "/j", Path("/j"), {"j": ENDS_THE_START}),
    flag("DOCKWORKER_SHARE_HOST", "share_host", has_json=False),
    flag("DOCKWORKER_REREGISTER_WHEN_INACTIVE", "reregister_when_inactive", has_json=False),
    Row(
        "DOCKER_HOST",
        "docker_host",
        "unix:///d.sock",
        "unix:///d.sock",
        {"/var/run/docker.sock": ENDS_THE_START},
        json="unix:///d.sock",
    ),
    flag("ECS_ACCEPT_INSECURE_CERT", "accept_insecure_cert", has_json=False),
    Row("AWS_CA_BUNDLE", "ca_file", "/ca.pem", Path("/ca.pem"), {"ca.pem": ENDS_THE_START}),
    Row("SSL_CERT_FILE", "ca_file", "/ca.pem", Path("/ca.pem"), {"ca.pem": ENDS_THE_START}),
    Row("DOCKWORKER_AGENT_ENDPOINT", "agent_endpoint", "http://a", "http://a", {"ws://a": OURS}),
    Row("DOCKWORKER_TELEMETRY_ENDPOINT", "telemetry_endpoint", "http://t", "http://t", {"ws://t": OURS}),
    flag("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", has_json=False),
    flag("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", has_json=False),
    Row("ECS_INSTANCE_IP_COMPATIBILITY", "ip_compatibility", " IPv6 ", "ipv6", {"ipv5": NOT_GIVEN}, toml='"ipv6"'),
    Row("AWS_EC2_METADATA_SERVICE_ENDPOINT", "imds_endpoint", "http://m", "http://m", {"ftp://m": ENDS_THE_START}),
    Row("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "imds_mode", "IPv6", "ipv6", {"5": NOT_GIVEN}, toml='"ipv6"'),
    flag("AWS_EC2_METADATA_DISABLED", "imds_disabled", has_json=False),
    flag("ECS_EXTERNAL", "external"),
    Row("ECS_ALTERNATE_CREDENTIAL_PROFILE", "credential_profile", "mine", "mine"),
    flag("DOCKWORKER_NO_IDENTITY_DOCUMENT", "no_identity_document"),
    Row("ECS_DETAILED_OS_FAMILY", "detailed_os_family", "debian_12", "debian_12"),
    flag("ECS_WARM_POOLS_CHECK", "warm_pools_check"),
    flag("ECS_ENABLE_SPOT_INSTANCE_DRAINING", "spot_instance_draining"),
    flag("DOCKWORKER_REBALANCE_DRAINING", "rebalance_draining", has_json=False),
    Row(
        "ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM",
        "propagate_tags_from",
        "ec2_instance",
        "ec2_instance",
        {"everywhere": NOT_GIVEN},
        json=1,
        json_bad=((2, NOT_GIVEN), ("ec2_instance", ENDS_THE_START)),
    ),
    # what the machine offers
    Row(
        "ECS_RESERVED_MEMORY",
        "reserved_memory",
        "65535",
        65535,
        {"65536": NOT_GIVEN, "-1": NOT_GIVEN, "12x": NOT_GIVEN},
        json=65535,
        json_bad=((65536, ENDS_THE_START), ("7", ENDS_THE_START)),
        zero="0",
    ),
    Row(
        "ECS_RESERVED_PORTS",
        "reserved_ports",
        "[1, 65535]",
        (1, 65535),
        {"[65536]": NOT_GIVEN, "[1, null]": NOT_GIVEN, "22": NOT_GIVEN, "[22": NOT_GIVEN},
        json=[1, 65535],
        json_bad=(([65536], ENDS_THE_START),),
        zero="[]",
    ),
    Row(
        "ECS_RESERVED_PORTS_UDP",
        "reserved_ports_udp",
        "[1]",
        (1,),
        {"[-1]": NOT_GIVEN},
        json=[1],
        json_bad=((1, ENDS_THE_START),),
    ),
    Row(
        "ECS_DYNAMIC_HOST_PORT_RANGE",
        "dynamic_host_port_range",
        "1-65535",
        (1, 65535),
        {"9-1": NOT_GIVEN, "0-1": NOT_GIVEN, "1-65536": NOT_GIVEN, "many": NOT_GIVEN},
    ),
    Row(
        "ECS_INSTANCE_ATTRIBUTES",
        "instance_attributes",
        '{"rack": "7"}',
        {"rack": "7"},
        {'{"rack": 7}': ENDS_THE_START, "rack=7": ENDS_THE_START},
        json={"rack": "7"},
        json_bad=(({"rack": 7}, ENDS_THE_START),),
    ),
    Row(
        "ECS_CONTAINER_INSTANCE_TAGS",
        "instance_tags",
        '{"team": "a", "team": "b"}',
        {"team": "b"},
        {'["team"]': ENDS_THE_START},
        toml='{team = "b"}',
        json={"team": "b"},
    ),
    Row(
        "ECS_AVAILABLE_LOGGING_DRIVERS",
        "available_logging_drivers",
        DRIVERS,
        ("syslog", "awsfirelens"),
        {'["smoke"]': ENDS_THE_START, "syslog": NOT_GIVEN, '["syslog"': NOT_GIVEN, '{"syslog": 1}': NOT_GIVEN},
        json=["syslog", "awsfirelens"],
        json_bad=((["smoke"], ENDS_THE_START),),
    ),
    flag("ECS_DISABLE_PRIVILEGED", "disable_privileged"),
    flag("ECS_SELINUX_CAPABLE", "selinux_capable"),
    flag("ECS_APPARMOR_CAPABLE", "apparmor_capable"),
    flag("ECS_DISABLE_DOCKER_HEALTH_CHECK", "disable_docker_health_check"),
    flag("ECS_ENABLE_GPU_SUPPORT", "enable_gpu_support", plain=True),
    Row("ECS_NVIDIA_RUNTIME", "nvidia_runtime", " runsc ", "runsc", toml='"runsc"', json="runsc"),
    Row("DOCKWORKER_OCI_RUNTIME", "oci_runtime", "runsc", "runsc"),
    flag("ECS_ENABLE_INF_SUPPORT", "enable_inf_support", plain=True),
    Row(
        "ECS_VOLUME_PLUGIN_CAPABILITIES",
        "volume_plugin_capabilities",
        '["efsAuth"]',
        ("efsAuth",),
        {'["fly", "efsAuth"]': ("efsAuth",), '["fly"]': NOT_GIVEN, "efsAuth": NOT_GIVEN},
        json=["efsAuth"],
        json_bad=((["fly", "efsAuth"], ("efsAuth",)), (["fly"], NOT_GIVEN), ("efsAuth", NOT_GIVEN)),
    ),
    flag("ECS_SHARED_VOLUME_MATCH_FULL_CONFIG", "shared_volume_match_full_config"),
    # what holds for each task
    flag("ECS_ENABLE_TASK_CPU_MEM_LIMIT", "task_cpu_mem_limit"),
    Row(
        "ECS_CGROUP_PATH",
        "cgroup_path",
        "/cgroup",
        Path("/cgroup"),
        {"cgroup": NOT_GIVEN},
        json="/cgroup",
        json_bad=(("cgroup", NOT_GIVEN), (7, ENDS_THE_START)),
    ),
    Row(
        "ECS_CGROUP_CPU_PERIOD",
        "cgroup_cpu_period",
        "8ms",
        timedelta(milliseconds=8),
        {"7ms": NOT_GIVEN, "101ms": NOT_GIVEN, "8": NOT_GIVEN},
    ),
    Row(
        "ECS_TASK_PIDS_LIMIT",
        "task_pids_limit",
        " 4194304 ",
        4194304,
        {"4194305": NOT_GIVEN, "-1": NOT_GIVEN, "many": NOT_GIVEN},
        toml="4194304",
        json=4194304,
        json_bad=((-1, NOT_GIVEN), ("7", ENDS_THE_START)),
        zero="0",
    ),
    flag("ECS_PROPAGATE_TASK_MEMORY_LIMIT_CGROUPV2", "propagate_task_memory_limit"),
    flag("ECS_EXCLUDE_IPV6_PORTBINDING", "exclude_ipv6_portbinding", default=True),
    # the life of a task
    span("ECS_CONTAINER_STOP_TIMEOUT", "stop_timeout", S, S, ENDS_THE_START),
    span("ECS_CONTAINER_START_TIMEOUT", "container_start_timeout", 45 * S, 45 * S, ENDS_THE_START),
    span("ECS_CONTAINER_CREATE_TIMEOUT", "container_create_timeout", M, M, just_below(M)),
    Row("DOCKWORKER_DRAIN_ON_STOP", "drain_on_stop", "services", "services", {"some": OURS}),
    Row("DOCKWORKER_DRAIN_TIMEOUT", "drain_timeout", "1s", S, {"999ms": OURS}),
    span("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", "cleanup_wait", S, NOT_GIVEN, NOT_GIVEN),
    span("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER", "cleanup_wait_jitter", 0 * S, NOT_GIVEN, NOT_GIVEN, zero="0s"),
    Row(
        "ECS_IMAGE_PULL_BEHAVIOR",
        "pull_behavior",
        "prefer-cached",
        PullBehavior.PREFER_CACHED,
        {"Always": NOT_GIVEN, "sometimes": NOT_GIVEN},
        json=3,
        json_bad=((4, NOT_GIVEN), ("always", ENDS_THE_START)),
        zero="default",
    ),
    span("ECS_IMAGE_PULL_TIMEOUT", "image_pull_timeout", S, NOT_GIVEN, NOT_GIVEN),
    span("ECS_IMAGE_PULL_INACTIVITY_TIMEOUT", "image_pull_inactivity_timeout", M, M, NOT_GIVEN),
    span("ECS_MANIFEST_PULL_TIMEOUT", "manifest_pull_timeout", 30 * S, 30 * S, just_below(30 * S)),
    Row("DOCKWORKER_PREPULL_IMAGES", "prepull_images", "app:1, web:2,", ("app:1", "web:2"), toml='["app:1", "web:2"]'),
    Row(
        "ECS_ENGINE_AUTH_TYPE",
        "engine_auth_type",
        " docker ",
        "docker",
        {"basic": NOT_GIVEN},
        toml='"docker"',
        json="docker",
        json_bad=(("basic", NOT_GIVEN), (7, ENDS_THE_START)),
    ),
    Row(
        "ECS_ENGINE_AUTH_DATA",
        "engine_auth_data",
        '{"r": {"username": "u", "password": "p"}}',
        {"r": {"username": "u", "password": "p"}},
        {"hush": NOT_GIVEN, '["hush"]': NOT_GIVEN},
        json={"r": {"username": "u", "password": "p"}},
        json_bad=(("hush", NOT_GIVEN), ({"r": "hush"}, NOT_GIVEN)),
    ),
    # images
    flag("ECS_DISABLE_IMAGE_CLEANUP", "disable_image_cleanup"),
    span("ECS_IMAGE_CLEANUP_INTERVAL", "image_cleanup_interval", 10 * M, NOT_GIVEN, NOT_GIVEN),
    span("ECS_IMAGE_MINIMUM_CLEANUP_AGE", "image_minimum_cleanup_age", 0 * S, NOT_GIVEN, NOT_GIVEN, zero="0s"),
    Row(
        "ECS_NUM_IMAGES_DELETE_PER_CYCLE",
        "num_images_delete_per_cycle",
        "7",
        7,
        {"0": NOT_GIVEN, "-1": NOT_GIVEN, "some": NOT_GIVEN},
        json=7,
        json_bad=((-1, NOT_GIVEN), ("7", ENDS_THE_START)),
    ),
    Row(
        "ECS_EXCLUDE_UNTRACKED_IMAGE",
        "exclude_untracked_image",
        "a:1,b:2",
        ("a:1", "b:2"),
        toml='["a:1", "b:2"]',
        json=["a:1", "b:2"],
        json_bad=((["a:1", " "], ("a:1",)), (["a:1", 7], ENDS_THE_START), ("a:1", ENDS_THE_START)),
    ),
    flag("ECS_ENABLE_UNTRACKED_IMAGE_CLEANUP", "enable_untracked_image_cleanup"),
    span(
        "NON_ECS_IMAGE_MINIMUM_CLEANUP_AGE", "non_ecs_image_minimum_cleanup_age", 0 * S, NOT_GIVEN, NOT_GIVEN, zero="0s"
    ),
    Row(
        "NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE",
        "nonecs_num_containers_delete_per_cycle",
        "7",
        7,
        {"0": NOT_GIVEN, "-1": 10**6, "-" + "9" * 5000: 10**6, "some": NOT_GIVEN},
        json=7,
        json_bad=((-1, 10**6), ("7", ENDS_THE_START)),
    ),
    # disks, health, logs
    Row("DOCKWORKER_DISK_LOW_WATERMARK", "disk_low_watermark", "1", 1, {"0": OURS}),
    Row("DOCKWORKER_DISK_HIGH_WATERMARK", "disk_high_watermark", "90", 90, {"x": OURS}),
    Row("DOCKWORKER_DISK_CRITICAL_WATERMARK", "disk_critical_watermark", "100", 100, {"101": OURS}),
    Row("DOCKWORKER_HEALTH_ADDRESS", "health_address", "off", "off", {"51678": OURS}),
    flag("ECS_ALLOW_OFFHOST_INTROSPECTION_ACCESS", "offhost_introspection", has_json=False),
    Row("ECS_OFFHOST_INTROSPECTION_INTERFACE_NAME", "offhost_introspection_interface", "eth1", "eth1"),
    # what containers are told
    Row("DOCKWORKER_TASK_ADDRESS", "task_address", "off", "off", {"51679": OURS}),
    flag("DOCKWORKER_TASK_REDIRECT", "task_redirect", default=True, has_json=False),
    flag("DOCKWORKER_LOCALHOST_TRAFFIC_FILTER", "localhost_traffic_filter", default=True, has_json=False),
    flag("DOCKWORKER_ISOLATE_TASKS", "isolate_tasks", default=True, has_json=False),
    flag("ECS_ENABLE_TASK_IAM_ROLE", "task_iam_role", default=True),
    flag("ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST", "task_iam_role_network_host", default=True),
    Row(
        "ECS_TASK_METADATA_RPS_LIMIT",
        "task_rate_limit",
        " 10, 20 ",
        (10, 20),
        {"10": NOT_GIVEN, "0,5": NOT_GIVEN, "5,-1": NOT_GIVEN},
        toml='"10,20"',
    ),
    Row(
        "ECS_AUDIT_LOGFILE",
        "audit_log_file",
        "/a.log",
        Path("/a.log"),
        {"a.log": NOT_GIVEN},
        json="/a.log",
        json_bad=(("a.log", NOT_GIVEN), (7, ENDS_THE_START)),
    ),
    flag("ECS_AUDIT_LOGFILE_DISABLED", "audit_log_disabled"),
    flag("ECS_DISABLE_TASK_METADATA_AZ", "disable_task_metadata_az"),
    flag("ECS_ENABLE_CONTAINER_METADATA", "container_metadata"),
    flag("ECS_DISABLE_METRICS", "disable_metrics"),
    Row("ECS_LOGLEVEL", "log_level", " WARN ", "warn", {"loud": NOT_GIVEN}, toml='"warn"'),
    Row("ECS_LOGLEVEL_ON_INSTANCE", "log_level_on_instance", "none", "none", {"loud": NOT_GIVEN}),
    Row("ECS_LOG_DRIVER", "log_driver", "awslogs", "awslogs"),
    Row("DOCKWORKER_LOG_FORMAT", "log_format", "console", "console", {"xml": OURS}),
    Row("ECS_LOG_OUTPUT_FORMAT", "log_format", "logfmt", "logfmt", {"xml": NOT_GIVEN}),
    Row("ECS_LOGFILE", "log_file", "/l.log", Path("/l.log"), {"l.log": NOT_GIVEN}),
    Row("ECS_LOG_MAX_FILE_SIZE_MB", "log_max_file_size_mb", "0.5", 0.5, {"0": NOT_GIVEN, "big": NOT_GIVEN}),
    Row("ECS_LOG_MAX_ROLL_COUNT", "log_max_roll_count", "3", 3, {"-1": NOT_GIVEN, "some": NOT_GIVEN}),
    Row("ECS_LOG_ROLLOVER_TYPE", "log_rollover_type", "none", "none", {"daily": "hourly"}),
)
