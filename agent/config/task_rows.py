"""What holds for each task, and the life of one."""

from datetime import timedelta

from agent.config import kinds
from agent.config.setting import ANY_TIME, MINUTE, SECOND, Setting, row
from agent.model.status import PullBehavior

MOST_PIDS = 2**22

TASKS: tuple[Setting, ...] = (
    # what holds for each task as a whole
    row(
        "task_cpu_mem_limit",
        "ECS_ENABLE_TASK_CPU_MEM_LIMIT",
        kinds.flag(),
        "Limit each task as a whole, by a cgroup; unset does so where the machine lets us, true insists.",
        json="TaskCPUMemLimit",
    ),
    row(
        "cgroup_path",
        "ECS_CGROUP_PATH",
        kinds.path(),
        "Where the cgroups of the machine are mounted.",
        json="CgroupPath",
    ),
    row(
        "cgroup_cpu_period",
        "ECS_CGROUP_CPU_PERIOD",
        kinds.duration(timedelta(milliseconds=8), "8ms", timedelta(milliseconds=100), "100ms"),
        "The period in which the CPU limit of a task is counted.",
    ),
    row(
        "task_pids_limit",
        "ECS_TASK_PIDS_LIMIT",
        kinds.whole_number(0, MOST_PIDS),
        "How many processes a task may have, where tasks have cgroups; 0 sets no limit.",
        json="TaskPidsLimit",
    ),
    row(
        "propagate_task_memory_limit",
        "ECS_PROPAGATE_TASK_MEMORY_LIMIT_CGROUPV2",
        kinds.flag(),
        "On cgroup v2, give containers without a memory limit the one of their task.",
        json="PropagateTaskMemoryLimitCgroupV2",
    ),
    # the life of a task
    row(
        "stop_timeout",
        "ECS_CONTAINER_STOP_TIMEOUT",
        SECOND,
        "From TERM to KILL, where a container names no time of its own.",
        json="DockerStopTimeout",
    ),
    row(
        "container_create_timeout",
        "ECS_CONTAINER_CREATE_TIMEOUT",
        MINUTE,
        "How long Docker may take to create a container.",
        json="ContainerCreateTimeout",
    ),
    row(
        "container_start_timeout",
        "ECS_CONTAINER_START_TIMEOUT",
        kinds.duration(timedelta(seconds=45), "45s"),
        "How long Docker may take to start a container.",
        json="ContainerStartTimeout",
    ),
    row(
        "drain_on_stop",
        "DOCKWORKER_DRAIN_ON_STOP",
        kinds.choice("off", "services", "all"),
        "Told to stop, drain first: services lets ECS end the tasks of services, all ends the others too.",
    ),
    row("drain_timeout", "DOCKWORKER_DRAIN_TIMEOUT", SECOND, "How long that may take; what runs then is left running."),
    row(
        "cleanup_wait",
        "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION",
        SECOND,
        "How long the containers of a stopped task are kept.",
        json="TaskCleanupWaitDuration",
    ),
    row(
        "cleanup_wait_jitter",
        "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION_JITTER",
        ANY_TIME,
        "How much longer they may be kept, drawn for each task.",
        json="TaskCleanupWaitDurationJitter",
    ),
    row(
        "exclude_ipv6_portbinding",
        "ECS_EXCLUDE_IPV6_PORTBINDING",
        kinds.flag(),
        "Do not tell ECS of ports that are bound to IPv6 addresses.",
        json="ShouldExcludeIPv6PortBinding",
    ),
    row(
        "pull_behavior",
        "ECS_IMAGE_PULL_BEHAVIOR",
        kinds.member(PullBehavior),
        "default pulls, and falls back on what is here; always pulls, or stops the task; once pulls what this agent has"
        " not pulled before; prefer-cached pulls what is missing, and cleans up only while a disk fills.",
        json="ImagePullBehavior",
    ),
    row(
        "image_pull_timeout",
        "ECS_IMAGE_PULL_TIMEOUT",
        SECOND,
        "How long one pull may take in all.",
        json="ImagePullTimeout",
    ),
    row(
        "image_pull_inactivity_timeout",
        "ECS_IMAGE_PULL_INACTIVITY_TIMEOUT",
        MINUTE,
        "How long a pull may stand still.",
        json="ImagePullInactivityTimeout",
    ),
    row(
        "manifest_pull_timeout",
        "ECS_MANIFEST_PULL_TIMEOUT",
        kinds.duration(timedelta(seconds=30), "30s"),
        "How long a registry may take to say which image a tag means.",
        json="ManifestPullTimeout",
    ),
    row(
        "prepull_images",
        "DOCKWORKER_PREPULL_IMAGES",
        kinds.texts("images"),
        "Images to fetch at start, before any task asks for them; they are never cleaned up.",
    ),
    row(
        "engine_auth_type",
        "ECS_ENGINE_AUTH_TYPE",
        kinds.choice("dockercfg", "docker"),
        "The form of the logins for registries: dockercfg or docker.",
        json="EngineAuthType",
    ),
    row(
        "engine_auth_data",
        "ECS_ENGINE_AUTH_DATA",
        kinds.table(),
        "Logins by registry: {auth} for dockercfg, {username, password} for docker.",
        secret=True,
        json="EngineAuthData",
    ),
    # what containers are told
    row(
        "task_address",
        "DOCKWORKER_TASK_ADDRESS",
        kinds.address(),
        "Where containers are answered, as host:port: metadata, credentials and more; off answers none.",
    ),
    row(
        "task_redirect",
        "DOCKWORKER_TASK_REDIRECT",
        kinds.flag(),
        "Make the firewall rules by which 169.254.170.2 leads there, and look after them; false leaves them to you.",
    ),
    row(
        "localhost_traffic_filter",
        "DOCKWORKER_LOCALHOST_TRAFFIC_FILTER",
        kinds.flag(),
        "With these rules, keep containers from what else listens on the loopback of the host.",
    ),
    row(
        "isolate_tasks",
        "DOCKWORKER_ISOLATE_TASKS",
        kinds.flag(),
        "Answer a container about its own task alone; false answers whoever knows the id, as Amazon's agent does.",
    ),
    row(
        "task_iam_role",
        "ECS_ENABLE_TASK_IAM_ROLE",
        kinds.flag(),
        "Offer roles to tasks of the network modes bridge and none.",
        json="TaskIAMRoleEnabled",
    ),
    row(
        "task_iam_role_network_host",
        "ECS_ENABLE_TASK_IAM_ROLE_NETWORK_HOST",
        kinds.flag(),
        "Offer roles to tasks of the network mode host.",
        json="TaskIAMRoleEnabledForNetworkHost",
    ),
    row(
        "task_rate_limit",
        "ECS_TASK_METADATA_RPS_LIMIT",
        kinds.rates(),
        "How often one container may ask for one path: a second, and at once.",
    ),
    row(
        "audit_log_file",
        "ECS_AUDIT_LOGFILE",
        kinds.path(),
        "Where each request for credentials is noted.",
        json="CredentialsAuditLogFile",
    ),
    row(
        "audit_log_disabled",
        "ECS_AUDIT_LOGFILE_DISABLED",
        kinds.flag(),
        "Note them nowhere.",
        json="CredentialsAuditLogDisabled",
    ),
    row(
        "disable_task_metadata_az",
        "ECS_DISABLE_TASK_METADATA_AZ",
        kinds.flag(),
        "Leave the availability zone out of task metadata.",
        json="TaskMetadataAZDisabled",
    ),
    row(
        "container_metadata",
        "ECS_ENABLE_CONTAINER_METADATA",
        kinds.flag(),
        "Give each container a file of metadata, and its path as ECS_CONTAINER_METADATA_FILE.",
        json="ContainerMetadataEnabled",
    ),
    row(
        "disable_metrics",
        "ECS_DISABLE_METRICS",
        kinds.flag(),
        "Measure nothing of containers; ECS is told that there is nothing.",
        json="DisableMetrics",
    ),
)
