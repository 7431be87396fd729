"""What the daemon goes by, read once at start and never changed after that.

The fields hold values that have been checked; `reference.py` says which variable and which TOML key each comes from,
`load.py` reads them. Defaults stand here and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from agent.config.sources import Given
from agent.model.status import PullBehavior


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one daemon. An empty string means: not given."""

    cluster: str = ""
    backend_host: str = ""
    region: str = ""
    data_dir: Path = Path("/var/lib/dockworker")
    json_config: Path = Path("/etc/ecs/ecs.config.json")
    share_host: bool = False
    reregister_when_inactive: bool = False
    docker_host: str = "unix:///var/run/docker.sock"
    accept_insecure_cert: bool = False
    ca_file: Path | None = None
    """Certificates to trust beside the system's."""
    agent_endpoint: str = ""
    """Where ACS is; empty asks DiscoverPollEndpoint."""
    telemetry_endpoint: str = ""
    """Where TCS is; empty asks DiscoverPollEndpoint."""
    use_fips_endpoint: bool = False
    use_dualstack_endpoint: bool = False
    ip_compatibility: str = ""
    """``ipv4`` or ``ipv6``; empty goes by the default routes of the machine."""
    imds_endpoint: str = "http://169.254.169.254"
    imds_mode: str = ""
    """``ipv6`` asks at the address of that kind, where no endpoint is given."""
    imds_disabled: bool = False
    external: bool = False
    credential_profile: str = "default"
    """In the file that somebody rotates."""
    no_identity_document: bool = False
    detailed_os_family: str = ""
    warm_pools_check: bool = False
    spot_instance_draining: bool = False
    rebalance_draining: bool = False
    propagate_tags_from: str = ""
    """``ec2_instance``, or empty for nowhere."""

    reserved_memory: int = 0
    """MiB."""
    reserved_ports: tuple[int, ...] = (22, 2375, 2376, 51678, 51679)
    reserved_ports_udp: tuple[int, ...] = ()
    dynamic_host_port_range: tuple[int, int] | None = None
    """First and last; None takes ports beside the kernel's own (``ip_local_port_range``)."""
    instance_attributes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    instance_tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    available_logging_drivers: tuple[str, ...] = ("json-file", "syslog", "awslogs", "fluentd", "none")
    disable_privileged: bool = False
    selinux_capable: bool = False
    apparmor_capable: bool = False
    disable_docker_health_check: bool = False
    enable_gpu_support: bool = False
    nvidia_runtime: str = "nvidia"
    oci_runtime: str = ""
    enable_inf_support: bool = False
    volume_plugin_capabilities: tuple[str, ...] = ()
    shared_volume_match_full_config: bool = False

    task_cpu_mem_limit: bool | None = None
    """None: where the machine lets us."""
    cgroup_path: Path = Path("/sys/fs/cgroup")
    cgroup_cpu_period: timedelta = timedelta(milliseconds=100)
    task_pids_limit: int = 0
    """0 sets no limit."""
    propagate_task_memory_limit: bool = False
    exclude_ipv6_portbinding: bool = True

    stop_timeout: timedelta = timedelta(seconds=30)
    container_create_timeout: timedelta = timedelta(minutes=4)
    container_start_timeout: timedelta = timedelta(minutes=3)
    drain_on_stop: str = "off"
    """``off``, ``services`` or ``all``."""
    drain_timeout: timedelta = timedelta(minutes=5)
    cleanup_wait: timedelta = timedelta(hours=3)
    cleanup_wait_jitter: timedelta = timedelta()
    pull_behavior: PullBehavior = PullBehavior.DEFAULT
    image_pull_timeout: timedelta = timedelta(hours=2)
    image_pull_inactivity_timeout: timedelta = timedelta(minutes=1)
    manifest_pull_timeout: timedelta = timedelta(minutes=1)
    prepull_images: tuple[str, ...] = ()
    engine_auth_type: str = ""
    """``dockercfg`` or ``docker``."""
    engine_auth_data: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """By registry; the form of what stands under each follows from the type."""
    disable_image_cleanup: bool = False
    image_cleanup_interval: timedelta = timedelta(minutes=30)
    image_minimum_cleanup_age: timedelta = timedelta(hours=1)
    num_images_delete_per_cycle: int = 5
    exclude_untracked_image: tuple[str, ...] = ()
    enable_untracked_image_cleanup: bool = False
    non_ecs_image_minimum_cleanup_age: timedelta = timedelta(hours=1)
    nonecs_num_containers_delete_per_cycle: int = 5

    disk_low_watermark: int = 80
    disk_high_watermark: int = 85
    disk_critical_watermark: int = 95
    """Per cent, of bytes and of inodes."""
    health_address: str = "127.0.0.1:51678"
    """``off`` answers nobody."""
    offhost_introspection: bool = False
    """Answer at every address of the host what is answered at `health_address`."""
    offhost_introspection_interface: str = ""
    """Of all addresses, only those of this interface; empty is all."""

    task_address: str = "127.0.0.1:51679"
    """Where containers are answered: metadata, credentials; ``off`` answers none."""
    task_redirect: bool = True
    """Make the rules of the host's firewall by which 169.254.170.2 leads to `task_address`."""
    localhost_traffic_filter: bool = True
    """Beside them, the rule that keeps the rest of the host's loopback from containers."""
    isolate_tasks: bool = True
    """Answer a container about its own task alone; False goes by the id in the path, as the reference agent does."""
    task_iam_role: bool = True
    task_iam_role_network_host: bool = True
    task_rate_limit: tuple[int, int] = (40, 60)
    """Requests a second of one client for one path, and how many at once."""
    audit_log_file: Path = Path("/var/log/ecs/audit.log")
    audit_log_disabled: bool = False
    disable_task_metadata_az: bool = False
    container_metadata: bool = False
    """Give each container a file that tells of it."""
    disable_metrics: bool = False

    log_level: str = "info"
    log_level_on_instance: str = ""
    """Of the file; empty is the same, or ``none`` where there is a `log_driver`."""
    log_driver: str = ""
    log_format: str = ""
    """``console``, ``json`` or ``logfmt``; empty means console on a terminal and JSON elsewhere."""
    log_file: Path | None = None
    log_max_file_size_mb: float = 5.0
    """Of 1,000,000 bytes, as the reference agent counts."""
    log_max_roll_count: int = 24
    log_rollover_type: str = "size"

    not_honoured: tuple[str, ...] = ()
    """Settings that were given and that the reference agent knows, but this one does not act on yet."""
    given: Given = field(default_factory=Given, compare=False, repr=False)
    """What all this was made of: user data of the instance may come in late."""
