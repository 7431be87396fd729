"""What the machine offers to tasks."""

from agent.config import kinds
from agent.config.setting import Setting, row

LOGGING_DRIVERS = (
    *("json-file", "syslog", "journald", "gelf", "fluentd", "awslogs", "splunk", "logentries", "sumologic", "none"),
    "awsfirelens",
)

OFFER: tuple[Setting, ...] = (
    # what the machine offers
    row(
        "reserved_memory",
        "ECS_RESERVED_MEMORY",
        kinds.whole_number(0, kinds.LAST_PORT, " of MiB"),
        "Memory kept back from tasks, in MiB.",
        json="ReservedMemory",
    ),
    row(
        "reserved_ports", "ECS_RESERVED_PORTS", kinds.ports(), "TCP ports that no task may have.", json="ReservedPorts"
    ),
    row(
        "reserved_ports_udp",
        "ECS_RESERVED_PORTS_UDP",
        kinds.ports(),
        "UDP ports that no task may have.",
        json="ReservedPortsUDP",
    ),
    row(
        "dynamic_host_port_range",
        "ECS_DYNAMIC_HOST_PORT_RANGE",
        kinds.port_range(),
        "Host ports given to tasks that ask for any, as first-last; unset lies beside the kernel's local port range.",
    ),
    row(
        "instance_attributes",
        "ECS_INSTANCE_ATTRIBUTES",
        kinds.pairs(),
        "Attributes of the container instance, told when it is first registered.",
        json="InstanceAttributes",
    ),
    row(
        "instance_tags",
        "ECS_CONTAINER_INSTANCE_TAGS",
        kinds.pairs(),
        "Tags of the container instance.",
        json="ContainerInstanceTags",
    ),
    row(
        "available_logging_drivers",
        "ECS_AVAILABLE_LOGGING_DRIVERS",
        kinds.words(*LOGGING_DRIVERS),
        "Docker logging drivers that tasks may use.",
        json="AvailableLoggingDrivers",
    ),
    row(
        "disable_privileged",
        "ECS_DISABLE_PRIVILEGED",
        kinds.flag(),
        "Do not offer privileged containers.",
        json="PrivilegedDisabled",
    ),
    row(
        "selinux_capable",
        "ECS_SELINUX_CAPABLE",
        kinds.flag(),
        "Offer SELinux, where Docker has it.",
        json="SELinuxCapable",
    ),
    row(
        "apparmor_capable",
        "ECS_APPARMOR_CAPABLE",
        kinds.flag(),
        "Offer AppArmor, where Docker has it.",
        json="AppArmorCapable",
    ),
    row(
        "disable_docker_health_check",
        "ECS_DISABLE_DOCKER_HEALTH_CHECK",
        kinds.flag(),
        "Do not offer health checks of containers.",
        json="DisableDockerHealthCheck",
    ),
    row(
        "enable_gpu_support",
        "ECS_ENABLE_GPU_SUPPORT",
        kinds.plain_flag(),
        "Look for NVIDIA GPUs, tell ECS of them, and give them to the containers that ECS chose.",
        json="GPUSupportEnabled",
    ),
    row(
        "nvidia_runtime",
        "ECS_NVIDIA_RUNTIME",
        kinds.text(),
        "Docker's runtime for containers that ECS gave GPUs.",
        json="NvidiaRuntime",
    ),
    row(
        "oci_runtime",
        "DOCKWORKER_OCI_RUNTIME",
        kinds.text(),
        "Docker's runtime for all containers; unset is its default.",
    ),
    row(
        "enable_inf_support",
        "ECS_ENABLE_INF_SUPPORT",
        kinds.plain_flag(),
        "Run containers that ask for Inferentia devices by the runtime `neuron`.",
        json="InferentiaSupportEnabled",
    ),
    row(
        "volume_plugin_capabilities",
        "ECS_VOLUME_PLUGIN_CAPABILITIES",
        kinds.words("efsAuth"),
        "What amazon-ecs-volume-plugin does on this host; efsAuth mounts EFS by it, and not by plain NFS.",
        json="VolumePluginCapabilities",
    ),
    row(
        "shared_volume_match_full_config",
        "ECS_SHARED_VOLUME_MATCH_FULL_CONFIG",
        kinds.flag(),
        "A shared volume that exists must have the labels and options that the task asks for.",
        json="SharedVolumeMatchFullConfig",
    ),
)
