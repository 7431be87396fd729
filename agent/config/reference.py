"""Every setting there is: its variable, its key in ``config.toml``, what it may hold, and one line of help.

The key follows from the variable: ``ECS_X_Y`` is ``ecs.x_y``, ``AWS_X_Y`` is ``aws.x_y``, and ours, ``DOCKWORKER_X_Y``,
is ``x.y``. Defaults stand in `Settings`.
"""

from dataclasses import dataclass
from datetime import timedelta

from agent.config import kinds
from agent.config.kinds import Kind
from agent.model.status import PullBehavior

OWN_PREFIX = "DOCKWORKER_"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row. `variables` are read in order; the first that is set counts."""

    field: str
    variables: tuple[str, ...]
    kind: Kind
    says: str
    secret: bool = False
    """True if no complaint may show the value."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The dotted TOML keys, one for each variable."""
        return tuple(key_of(variable) for variable in self.variables)


def key_of(variable: str) -> str:
    """The TOML key that means the same as *variable*."""
    if variable.startswith(("NON_ECS_", "NONECS_")):
        return f"ecs.{variable.lower()}"
    section, _, key = variable.removeprefix(OWN_PREFIX).lower().partition("_")
    return f"{section}.{key}"


def _row(field: str, variables: str, kind: Kind, says: str, *, secret: bool = False) -> Setting:
    return Setting(field, tuple(variables.split()), kind, says, secret)


SECOND = kinds.duration(timedelta(seconds=1), "1s")
ANY_TIME = kinds.duration(timedelta(0), "0s")
MINUTE = kinds.duration(timedelta(minutes=1), "1m")
PER_CENT = kinds.whole_number(1, 100, " per cent")
MOST_PIDS = 2**22
LOGGING_DRIVERS = (
    *("json-file", "syslog", "journald", "gelf", "fluentd", "awslogs", "splunk", "logentries", "sumologic", "none"),
    "awsfirelens",
)

SETTINGS: tuple[Setting, ...] = (
    # who we are, and whom we talk to
    _row("cluster", "ECS_CLUSTER", kinds.text(), "Name or ARN of the cluster to join; unset joins `default`."),
    _row(
        "backend_host",
        "ECS_BACKEND_HOST",
        kinds.http_url(),
        "Where the ECS API is, such as http://127.0.0.1:51690; unset is Amazon ECS in the region.",
    ),
    _row(
        "region",
        "AWS_DEFAULT_REGION AWS_REGION",
        kinds.text(),
        "Region of every AWS service; unset asks the instance metadata.",
    ),
    _row("data_dir", "ECS_DATADIR", kinds.path(), "Where the journal and the identity are kept."),
    _row(
        "share_host",
        "DOCKWORKER_SHARE_HOST",
        kinds.flag(),
        "Let other agents run on this host; without it the second one ends at once.",
    ),
    _row(
        "reregister_when_inactive",
        "DOCKWORKER_REREGISTER_WHEN_INACTIVE",
        kinds.flag(),
        "Register anew a minute after ECS has called this instance inactive; unset asks again once an hour.",
    ),
    _row("docker_host", "DOCKER_HOST", kinds.docker_url(), "Where Docker listens."),
    _row(
        "accept_insecure_cert",
        "ECS_ACCEPT_INSECURE_CERT",
        kinds.flag(),
        "Do not check the certificate of the ECS endpoints; for tests only.",
    ),
    _row("ca_file", "AWS_CA_BUNDLE SSL_CERT_FILE", kinds.path(), "Certificates to trust beside those of the system."),
    _row(
        "agent_endpoint",
        "DOCKWORKER_AGENT_ENDPOINT",
        kinds.http_url(),
        "Where ACS is; unset asks ECS for it. A pinned one is never asked for.",
    ),
    _row(
        "telemetry_endpoint",
        "DOCKWORKER_TELEMETRY_ENDPOINT",
        kinds.http_url(),
        "Where TCS is; unset asks ECS for it. A pinned one is never asked for.",
    ),
    _row("use_fips_endpoint", "AWS_USE_FIPS_ENDPOINT", kinds.flag(), "Call the FIPS endpoints of AWS services."),
    _row(
        "use_dualstack_endpoint",
        "AWS_USE_DUALSTACK_ENDPOINT",
        kinds.flag(),
        "Call the endpoints of AWS services that answer over IPv6 too.",
    ),
    _row(
        "ip_compatibility",
        "ECS_INSTANCE_IP_COMPATIBILITY",
        kinds.choice("ipv4", "ipv6", ignore_case=True),
        "ipv6 for a host that reaches nothing over IPv4; unset goes by the default routes.",
    ),
    _row(
        "imds_endpoint",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        kinds.http_url(),
        "Where the instance metadata service is.",
    ),
    _row("imds_disabled", "AWS_EC2_METADATA_DISABLED", kinds.flag(), "Do not ask for instance metadata."),
    _row(
        "external",
        "ECS_EXTERNAL",
        kinds.flag(),
        "This is no EC2 instance but a machine of ECS Anywhere: no instance metadata, keys from the rotated file.",
    ),
    _row(
        "credential_profile",
        "ECS_ALTERNATE_CREDENTIAL_PROFILE",
        kinds.text(),
        "The profile in the file of keys that is rotated under us.",
    ),
    _row(
        "no_identity_document",
        "DOCKWORKER_NO_IDENTITY_DOCUMENT",
        kinds.flag(),
        "Register without the EC2 identity document; the region comes from elsewhere.",
    ),
    _row(
        "detailed_os_family",
        "ECS_DETAILED_OS_FAMILY",
        kinds.text(),
        "The attribute ecs.os-type-detailed; unset is made of /etc/os-release, such as debian_12.",
    ),
    _row(
        "warm_pools_check",
        "ECS_WARM_POOLS_CHECK",
        kinds.flag(),
        "Register only when the Auto Scaling group has put the instance InService.",
    ),
    _row(
        "spot_instance_draining",
        "ECS_ENABLE_SPOT_INSTANCE_DRAINING",
        kinds.flag(),
        "Set the instance DRAINING as soon as EC2 says that it will take it away.",
    ),
    _row(
        "rebalance_draining",
        "DOCKWORKER_REBALANCE_DRAINING",
        kinds.flag(),
        "Do so also when EC2 only recommends to rebalance, which may come long before or never.",
    ),
    _row(
        "propagate_tags_from",
        "ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM",
        kinds.choice("ec2_instance"),
        "ec2_instance adds the tags of the EC2 instance to those of the container instance.",
    ),
    # what the machine offers
    _row(
        "reserved_memory",
        "ECS_RESERVED_MEMORY",
        kinds.whole_number(0, kinds.LAST_PORT, " of MiB"),
        "Memory kept back from tasks, in MiB.",
    ),
    _row("reserved_ports", "ECS_RESERVED_PORTS", kinds.ports(), "TCP ports that no task may have."),
    _row("reserved_ports_udp", "ECS_RESERVED_PORTS_UDP", kinds.ports(), "UDP ports that no task may have."),
    _row(
        "dynamic_host_port_range",
        "ECS_DYNAMIC_HOST_PORT_RANGE",
        kinds.port_range(),
        "Host ports given to tasks that ask for any, as first-last; unset lies beside the kernel's local port range.",
    ),
    _row(
        "instance_attributes",
        "ECS_INSTANCE_ATTRIBUTES",
        kinds.pairs(),
        "Attributes of the container instance, told when it is first registered.",
    ),
    _row("instance_tags", "ECS_CONTAINER_INSTANCE_TAGS", kinds.pairs(), "Tags of the container instance."),
    _row(
        "available_logging_drivers",
        "ECS_AVAILABLE_LOGGING_DRIVERS",
        kinds.words(*LOGGING_DRIVERS),
        "Docker logging drivers that tasks may use.",
    ),
    _row(
        "disable_privileged",
        "ECS_DISABLE_PRIVILEGED",
        kinds.flag(),
        "Do not offer privileged containers.",
    ),
    _row("selinux_capable", "ECS_SELINUX_CAPABLE", kinds.flag(), "Offer SELinux, where Docker has it."),
    _row("apparmor_capable", "ECS_APPARMOR_CAPABLE", kinds.flag(), "Offer AppArmor, where Docker has it."),
    _row(
        "disable_docker_health_check",
        "ECS_DISABLE_DOCKER_HEALTH_CHECK",
        kinds.flag(),
        "Do not offer health checks of containers.",
    ),
    _row(
        "enable_gpu_support",
        "ECS_ENABLE_GPU_SUPPORT",
        kinds.flag(),
        "Read, and without effect yet: no GPUs are looked for, and ECS is told of none.",
    ),
    _row("nvidia_runtime", "ECS_NVIDIA_RUNTIME", kinds.text(), "Docker's runtime for containers that ECS gave GPUs."),
    _row(
        "oci_runtime",
        "DOCKWORKER_OCI_RUNTIME",
        kinds.text(),
        "Docker's runtime for all containers; unset is its default.",
    ),
    _row(
        "enable_inf_support",
        "ECS_ENABLE_INF_SUPPORT",
        kinds.flag(),
        "Run containers that ask for Inferentia devices by the runtime `neuron`.",
    ),
    _row(
        "volume_plugin_capabilities",
        "ECS_VOLUME_PLUGIN_CAPABILITIES",
        kinds.words("efsAuth"),
        "What amazon-ecs-volume-plugin does on this host; efsAuth mounts EFS by it, and not by plain NFS.",
    ),
    _row(
        "shared_volume_match_full_config",
        "ECS_SHARED_VOLUME_MATCH_FULL_CONFIG",
        kinds.flag(),
        "A shared volume that exists must have the labels and options that the task asks for.",
    ),
    # what holds for each task as a whole
    _row(
        "task_cpu_mem_limit",
        "ECS_ENABLE_TASK_CPU_MEM_LIMIT",
        kinds.flag(),
        "Limit each task as a whole, by a cgroup; unset does so where the machine lets us, true insists.",
    ),
    _row("cgroup_path", "ECS_CGROUP_PATH", kinds.path(), "Where the cgroups of the machine are mounted."),
    _row(
        "cgroup_cpu_period",
        "ECS_CGROUP_CPU_PERIOD",
        kinds.duration(timedelta(milliseconds=8), "8ms", timedelta(milliseconds=100), "100ms"),
        "The period in which the CPU limit of a task is counted.",
    ),
    _row(
        "task_pids_limit",
        "ECS_TASK_PIDS_LIMIT",
        kinds.whole_number(0, MOST_PIDS),
        "How many processes a task may have, where tasks have cgroups; 0 sets no limit.",
    ),
    _row(
        "propagate_task_memory_limit",
        "ECS_PROPAGATE_TASK_MEMORY_LIMIT_CGROUPV2",
        kinds.flag(),
        "On cgroup v2, give containers without a memory limit the one of their task.",
    ),
    # the life of a task
    _row(
        "stop_timeout",
        "ECS_CONTAINER_STOP_TIMEOUT",
        SECOND,
        "From TERM to KILL, where a container names no time of its own.",
    ),
    _row(
        "container_create_timeout",
        "ECS_CONTAINER_CREATE_TIMEOUT",
        MINUTE,
        "How long Docker may take to create a container.",
    ),
    _row(
        "container_start_timeout",
        "ECS_CONTAINER_START_TIMEOUT",
        kinds.duration(timedelta(seconds=45), "45s"),
        "How long Docker may take to start a container.",
    ),
    _row(
        "drain_on_stop",
        "DOCKWORKER_DRAIN_ON_STOP",
        kinds.choice("off", "services", "all"),
        "Told to stop, drain first: services lets ECS end the tasks of services, all ends the others too.",
    ),
    _row(
        "drain_timeout",
        "DOCKWORKER_DRAIN_TIMEOUT",
        SECOND,
        "How long that may take; what runs then is left running.",
    ),
    _row(
        "cleanup_wait",
        "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION",
        SECOND,
        "How long the containers of a stopped task are kept.",
    ),
    _row(
        "cleanup_wait_jitter",
        "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER",
        ANY_TIME,
        "How much longer they may be kept, drawn for each task.",
    ),
    _row(
        "exclude_ipv6_portbinding",
        "ECS_EXCLUDE_IPV6_PORTBINDING",
        kinds.flag(),
        "Do not tell ECS of ports that are bound to IPv6 addresses.",
    ),
    _row(
        "pull_dependent_containers_upfront",
        "ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT",
        kinds.flag(),
        "Read, and without effect: images are always fetched at once, whatever their containers wait for.",
    ),
    _row(
        "pull_behavior",
        "ECS_IMAGE_PULL_BEHAVIOR",
        kinds.member(PullBehavior),
        "default pulls, and falls back on what is here; always pulls, or stops the task; once pulls what this agent has"
        " not pulled before; prefer-cached pulls what is missing, and cleans up only while a disk fills.",
    ),
    _row("image_pull_timeout", "ECS_IMAGE_PULL_TIMEOUT", SECOND, "How long one pull may take in all."),
    _row(
        "image_pull_inactivity_timeout",
        "ECS_IMAGE_PULL_INACTIVITY_TIMEOUT",
        MINUTE,
        "How long a pull may stand still.",
    ),
    _row(
        "manifest_pull_timeout",
        "ECS_MANIFEST_PULL_TIMEOUT",
        kinds.duration(timedelta(seconds=30), "30s"),
        "How long a registry may take to say which image a tag means.",
    ),
    _row(
        "prepull_images",
        "DOCKWORKER_PREPULL_IMAGES",
        kinds.texts("images"),
        "Images to fetch at start, before any task asks for them; they are never cleaned up.",
    ),
    _row(
        "engine_auth_type",
        "ECS_ENGINE_AUTH_TYPE",
        kinds.choice("dockercfg", "docker"),
        "The form of the logins for registries: dockercfg or docker.",
    ),
    _row(
        "engine_auth_data",
        "ECS_ENGINE_AUTH_DATA",
        kinds.table(),
        "Logins by registry: {auth} for dockercfg, {username, password} for docker.",
        secret=True,
    ),
    # images that nobody uses any more
    _row(
        "disable_image_cleanup",
        "ECS_DISABLE_IMAGE_CLEANUP",
        kinds.flag(),
        "Keep every image, whatever a disk that fills would need.",
    ),
    _row(
        "image_cleanup_interval",
        "ECS_IMAGE_CLEANUP_INTERVAL",
        kinds.duration_or_default(timedelta(minutes=10), "10m"),
        "How often unused images are removed; less than 10m counts as not given.",
    ),
    _row(
        "image_minimum_cleanup_age",
        "ECS_IMAGE_MINIMUM_CLEANUP_AGE",
        ANY_TIME,
        "How long an image is kept after its first pull, at least.",
    ),
    _row(
        "num_images_delete_per_cycle",
        "ECS_NUM_IMAGES_DELETE_PER_CYCLE",
        kinds.count_or_default(10**6),
        "How many images go at a time, at most.",
    ),
    _row(
        "exclude_untracked_image",
        "ECS_EXCLUDE_UNTRACKED_IMAGE",
        kinds.texts("images"),
        "Images that are never cleaned up, whoever pulled them.",
    ),
    _row(
        "enable_untracked_image_cleanup",
        "ECS_ENABLE_UNTRACKED_IMAGE_CLEANUP",
        kinds.flag(),
        "Clean up ended containers and unused images also where no task has had them.",
    ),
    _row(
        "non_ecs_image_minimum_cleanup_age",
        "NON_ECS_IMAGE_MINIMUM_CLEANUP_AGE",
        ANY_TIME,
        "How old such an image is, at least, when it goes.",
    ),
    _row(
        "nonecs_num_containers_delete_per_cycle",
        "NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE",
        kinds.count_or_default(10**6),
        "How many such containers go at a time, at most.",
    ),
    # a disk that fills
    _row(
        "disk_low_watermark",
        "DOCKWORKER_DISK_LOW_WATERMARK",
        PER_CENT,
        "Room is made until a disk is no fuller than this, in per cent of its bytes and of its inodes.",
    ),
    _row(
        "disk_high_watermark",
        "DOCKWORKER_DISK_HIGH_WATERMARK",
        PER_CENT,
        "How full Docker's disk is when stopped containers and unused images go at once, least recently used first.",
    ),
    _row(
        "disk_critical_watermark",
        "DOCKWORKER_DISK_CRITICAL_WATERMARK",
        PER_CENT,
        "How full one of them is when new tasks are refused.",
    ),
    # whether we are well
    _row(
        "health_address",
        "DOCKWORKER_HEALTH_ADDRESS",
        kinds.address(),
        "Where GET /health/ready is answered, as host:port; off answers on the operator's socket alone.",
    ),
    # what we say
    _row(
        "log_level",
        "ECS_LOGLEVEL",
        kinds.choice("debug", "info", "warn", "error", "crit", "none", ignore_case=True),
        "The least serious lines to log.",
    ),
    _row(
        "log_format",
        "DOCKWORKER_LOG_FORMAT",
        kinds.choice("console", "json"),
        "console or json; unset is console on a terminal and json elsewhere.",
    ),
    _row("log_file", "ECS_LOGFILE", kinds.path(), "A file for the lines too; unset writes to standard error alone."),
    _row(
        "log_max_file_size_mb",
        "ECS_LOG_MAX_FILE_SIZE_MB",
        kinds.number(0.1, 10_000),
        "How many million bytes the file may hold; then it is rolled.",
    ),
    _row(
        "log_max_roll_count",
        "ECS_LOG_MAX_ROLL_COUNT",
        kinds.whole_number(0, 1000),
        "How many rolled files are kept beside the one that is written.",
    ),
    _row(
        "log_rollover_type",
        "ECS_LOG_ROLLOVER_TYPE",
        kinds.choice("size", "hourly", "none"),
        "size rolls a full file; hourly does so with each hour too; none never does, and bounds nothing.",
    ),
)
