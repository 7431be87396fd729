"""Who the instance is, whom it talks to, and how."""

from agent.config import kinds
from agent.config.setting import Setting, row

INSTANCE: tuple[Setting, ...] = (
    # who we are, and whom we talk to
    row(
        "cluster",
        "ECS_CLUSTER",
        kinds.text(),
        "Name or ARN of the cluster to join; unset joins `default`.",
        json="Cluster",
    ),
    row(
        "backend_host",
        "ECS_BACKEND_HOST",
        kinds.http_url(),
        "Where the ECS API is, such as http://127.0.0.1:51690; unset is Amazon ECS in the region.",
        json="APIEndpoint",
    ),
    row(
        "region",
        "AWS_DEFAULT_REGION AWS_REGION",
        kinds.text(),
        "Region of every AWS service; unset asks the instance metadata.",
        json="AWSRegion",
    ),
    row("data_dir", "ECS_DATADIR", kinds.path(), "Where the journal and the identity are kept.", json="DataDir"),
    row(
        "json_config",
        "ECS_AGENT_CONFIG_FILE_PATH",
        kinds.path(),
        "A file of settings in the JSON of Amazon's agent; it need not be there.",
    ),
    row(
        "share_host",
        "DOCKWORKER_SHARE_HOST",
        kinds.flag(),
        "Let other agents run on this host; without it the second one ends at once.",
    ),
    row(
        "reregister_when_inactive",
        "DOCKWORKER_REREGISTER_WHEN_INACTIVE",
        kinds.flag(),
        "Register anew a minute after ECS has called this instance inactive; unset asks again once an hour.",
    ),
    row("docker_host", "DOCKER_HOST", kinds.docker_url(), "Where Docker listens.", json="DockerEndpoint"),
    row(
        "accept_insecure_cert",
        "ECS_ACCEPT_INSECURE_CERT",
        kinds.flag(),
        "Do not check the certificate of the ECS endpoints; for tests only.",
    ),
    row("ca_file", "AWS_CA_BUNDLE SSL_CERT_FILE", kinds.path(), "Certificates to trust beside those of the system."),
    row(
        "agent_endpoint",
        "DOCKWORKER_AGENT_ENDPOINT",
        kinds.http_url(),
        "Where ACS is; unset asks ECS for it. A pinned one is never asked for.",
    ),
    row(
        "telemetry_endpoint",
        "DOCKWORKER_TELEMETRY_ENDPOINT",
        kinds.http_url(),
        "Where TCS is; unset asks ECS for it. A pinned one is never asked for.",
    ),
    row("use_fips_endpoint", "AWS_USE_FIPS_ENDPOINT", kinds.flag(), "Call the FIPS endpoints of AWS services."),
    row(
        "use_dualstack_endpoint",
        "AWS_USE_DUALSTACK_ENDPOINT",
        kinds.flag(),
        "Call the endpoints of AWS services that answer over IPv6 too.",
    ),
    row(
        "ip_compatibility",
        "ECS_INSTANCE_IP_COMPATIBILITY",
        kinds.choice("ipv4", "ipv6", ignore_case=True),
        "ipv6 for a host that reaches nothing over IPv4; unset goes by the default routes.",
    ),
    row(
        "imds_endpoint",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        kinds.http_url(),
        "Where the instance metadata service is.",
    ),
    row(
        "imds_mode",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
        kinds.choice("ipv4", "ipv6", ignore_case=True),
        "ipv6 asks for instance metadata over IPv6, where no endpoint is given.",
    ),
    row("imds_disabled", "AWS_EC2_METADATA_DISABLED", kinds.flag(), "Do not ask for instance metadata."),
    row(
        "external",
        "ECS_EXTERNAL",
        kinds.flag(),
        "This is no EC2 instance but a machine of ECS Anywhere: no instance metadata, keys from the rotated file.",
        json="External",
    ),
    row(
        "credential_profile",
        "ECS_ALTERNATE_CREDENTIAL_PROFILE",
        kinds.text(),
        "The profile in the file of keys that is rotated under us.",
    ),
    row(
        "no_identity_document",
        "DOCKWORKER_NO_IDENTITY_DOCUMENT",
        kinds.flag(),
        "Register without the EC2 identity document; the region comes from elsewhere.",
        json="NoIID",
    ),
    row(
        "detailed_os_family",
        "ECS_DETAILED_OS_FAMILY",
        kinds.text(),
        "The attribute ecs.os-type-detailed; unset is made of /etc/os-release, such as debian_12.",
    ),
    row(
        "warm_pools_check",
        "ECS_WARM_POOLS_CHECK",
        kinds.flag(),
        "Register only when the Auto Scaling group has put the instance InService.",
        json="WarmPoolsSupport",
    ),
    row(
        "spot_instance_draining",
        "ECS_ENABLE_SPOT_INSTANCE_DRAINING",
        kinds.flag(),
        "Set the instance DRAINING as soon as EC2 says that it will take it away.",
        json="SpotInstanceDrainingEnabled",
    ),
    row(
        "rebalance_draining",
        "DOCKWORKER_REBALANCE_DRAINING",
        kinds.flag(),
        "Do so also when EC2 only recommends to rebalance, which may come long before or never.",
    ),
    row(
        "propagate_tags_from",
        "ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM",
        kinds.choice("ec2_instance", numbered=("", "ec2_instance")),
        "ec2_instance adds the tags of the EC2 instance to those of the container instance.",
        json="ContainerInstancePropagateTagsFrom",
    ),
)
