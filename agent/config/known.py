"""What the reference agent reads and this one does not act on: it cannot apply here, or it is not here yet.

Such a setting is no mistake, so it does not keep the daemon from starting; it is named in one warning, with the reason,
so that nobody believes that it works. One that is built moves from here to the table of settings.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.config.kinds import FALSE, TRUE
from agent.config.setting import key_of

NO_AGENT_CONTAINER = "cannot apply: the agent is a process of the host, there is no agent container"
NO_UPDATES = "cannot apply: the agent does not update itself, packages do"
NO_WINDOWS = "cannot apply: it is for Windows"
NO_POLLING = "cannot apply: figures are read from the kernel each second, and not from Docker"
NO_AWSVPC = "is not here yet: tasks of the network mode awsvpc are refused"
NO_GMSA = "is not here yet: there is no gMSA"
NO_EBS = "is not here yet: volumes of EBS are not attached"
NO_PAUSE = "is not here yet: there are no pause containers"


@dataclass(frozen=True, slots=True)
class Unheeded:
    """One such setting. A value out of `means_nothing` asks for what is done anyway, and is not worth a word."""

    variable: str
    """Empty if it can stand in JSON alone."""
    json: str
    because: str
    means_nothing: frozenset[str] = FALSE


def _some(because: str, names: str, means_nothing: frozenset[str] = FALSE) -> Iterable[Unheeded]:
    """Names with spaces between: ``VARIABLE``, ``VARIABLE/JsonKey`` or ``/JsonKey``."""
    for name in names.split():
        variable, _, key = name.partition("/")
        yield Unheeded(variable, key, because, means_nothing)


UNHEEDED: tuple[Unheeded, ...] = (
    *_some("cannot apply: what the agent knows of its tasks is always kept", "ECS_CHECKPOINT/Checkpoint", TRUE),
    *_some(
        "cannot apply: images are always fetched at once, whatever their containers wait for",
        "ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT/DependentContainersPullUpfront",
        TRUE,
    ),
    *_some(
        NO_AGENT_CONTAINER,
        "ECS_AGENT_APPARMOR_PROFILE ECS_AGENT_LABELS ECS_AGENT_PID_NAMESPACE_HOST ECS_AGENT_RUN_PRIVILEGED ECS_LOG_OPTS"
        " ECS_INIT_DOCKER_LOG_FILE_NUM ECS_INIT_DOCKER_LOG_FILE_SIZE",
    ),
    *_some(
        "cannot apply: DOCKWORKER_LOCALHOST_TRAFFIC_FILTER=false leaves that rule out",
        "ECS_SKIP_LOCALHOST_TRAFFIC_FILTER",
    ),
    *_some(NO_UPDATES, "ECS_UPDATES_ENABLED/UpdatesEnabled ECS_UPDATE_DOWNLOAD_DIR/UpdateDownloadDir"),
    *_some(
        "cannot apply: whether the agent is well is told at GET /health/ready, at DOCKWORKER_HEALTH_ADDRESS",
        "ECS_AGENT_HEALTHCHECK_HOST",
    ),
    *_some(
        "cannot apply: metrics are told in any case, at GET /metrics of DOCKWORKER_HEALTH_ADDRESS",
        "ECS_ENABLE_PROMETHEUS_METRICS/PrometheusMetricsEnabled",
    ),
    *_some("cannot apply: they are statistics of a Go program", "ECS_ENABLE_RUNTIME_STATS/EnableRuntimeStats"),
    *_some("cannot apply: they are statistics of a Go program", "/RuntimeStatsLogFile"),
    *_some(
        NO_WINDOWS,
        "ECS_FSX_WINDOWS_FILE_SERVER_SUPPORTED ECS_ENABLE_CPU_UNBOUNDED_WINDOWS_WORKAROUND"
        " ECS_ENABLE_MEMORY_UNBOUNDED_WINDOWS_WORKAROUND /PlatformVariables /InstanceENIDNSServerList"
        " /FSxWindowsFileServerCapable",
    ),
    *_some("cannot apply: Amazon's agent does not act on it either", "/IMDSIAMRolesEnabled"),
    *_some(
        "cannot apply: Amazon's agent takes it from a variable alone",
        "/CgroupCPUPeriod /DynamicHostPortRange /InstanceIPCompatibility",
    ),
    *_some("cannot apply: Amazon's agent takes it from its option -k alone", "/AcceptInsecureCert"),
    *_some(
        "cannot apply: Amazon's agent only writes of it, and reads ECS_POLLING_METRICS_WAIT_DURATION",
        "ECS_POLL_METRICS_WAIT_DURATION",
    ),
    *_some(
        NO_POLLING,
        "ECS_POLL_METRICS/PollMetrics ECS_POLLING_METRICS_WAIT_DURATION/PollingMetricsWaitDuration",
    ),
    *_some(
        "cannot apply: Amazon's agent takes both from ECS_TASK_METADATA_RPS_LIMIT too",
        "/TaskMetadataSteadyStateRate /TaskMetadataBurstRate",
    ),
    *_some(NO_AGENT_CONTAINER, "ECS_HOST_DATA_DIR/DataDirOnHost"),
    *_some(
        "cannot apply: where containers are answered, so is Docker, and ECS is told so",
        "ECS_ENABLE_AWSLOGS_EXECUTIONROLE_OVERRIDE/OverrideAWSLogsExecutionRole",
        TRUE,
    ),
    *_some(
        NO_AWSVPC,
        "ECS_ENABLE_TASK_ENI/TaskENIEnabled ECS_ENABLE_HIGH_DENSITY_ENI/ENITrunkingEnabled"
        " ECS_CNI_PLUGINS_PATH/CNIPluginsPath ECS_AWSVPC_BLOCK_IMDS/AWSVPCBlockInstanceMetdata"
        " ECS_AWSVPC_ADDITIONAL_LOCAL_ROUTES/AWSVPCAdditionalLocalRoutes /OverrideAWSVPCLocalIPv4Address"
        " /ENIPauseContainerCleanupDelaySeconds",
    ),
    *_some(NO_PAUSE, "ECS_PAUSE_LABELS /PauseContainerTarballPath /PauseContainerImageName /PauseContainerTag"),
    *_some(
        NO_GMSA,
        "ECS_GMSA_SUPPORTED/GMSACapable /GMSADomainlessCapable ECS_DOMAIN_JOINED_LINUX_INSTANCE"
        " CREDENTIALS_FETCHER_HOST CREDENTIALS_FETCHER_HOST_DIR CREDENTIALS_FETCHER_SECRET_NAME_FOR_DOMAINLESS_GMSA",
    ),
    *_some(
        NO_EBS,
        "ECS_EBSTA_SUPPORTED/EBSTASupportEnabled /CSIDriverSocketPath /NodeStageTimeout /NodeUnstageTimeout",
    ),
    *_some("is not here yet: there is no FireLens", "ECS_ENABLE_FIRELENS_ASYNC/FirelensAsyncEnabled"),
)

BY_VARIABLE = {one.variable: one for one in UNHEEDED if one.variable}
BY_KEY = {key_of(one.variable): one for one in UNHEEDED if one.variable.startswith("ECS_")}
BY_JSON = {one.json.lower(): one for one in UNHEEDED if one.json}

TOLD_TO_TASKS = frozenset(
    {"ECS_CONTAINER_METADATA_URI", "ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_FILE", "ECS_AGENT_URI"}
    | {"ECS_CONTAINER_INSTANCE_ARN", "ECS_CNI_LOGLEVEL", "ECS_CNI_LOG_FILE"}
)
"""Variables that agents give to others: they may be met in an environment, and are no settings."""
