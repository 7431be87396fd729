"""Where the agent parts from Amazon's on purpose: one table, shown in the documents and nowhere else.

Whoever builds something that differs adds a row here.
"""

from agent.config.served_deviations import SERVED
from agent.config.setting import Deviation

DEVIATIONS: tuple[Deviation, ...] = (
    Deviation(
        "`ECS_DATADIR`, `ECS_CHECKPOINT`",
        "`/data` of its container; what it knows is kept only where a switch says so",
        "`/var/lib/dockworker`; always kept. `/data` in a file that was written for Amazon's agent counts as not given",
    ),
    Deviation(
        "`ECS_LOGFILE`",
        "`/log/ecs-agent.log`, which is `/var/log/ecs/ecs-agent.log` of the host",
        "none: lines go to standard error, and so to systemd's journal. `/log/` in a file that was written for Amazon's"
        " agent is `/var/log/ecs/`",
    ),
    Deviation(
        "the form of log lines",
        "logfmt",
        "JSON, and for eyes on a terminal; `ECS_LOG_OUTPUT_FORMAT=logfmt` gives logfmt",
    ),
    Deviation("`ECS_LOG_MAX_ROLL_COUNT`", "files that are kept", "the same, beside the one that is written"),
    Deviation(
        "`ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT`",
        "false: an image is fetched when its container may start",
        "always true: images are fetched at once",
    ),
    Deviation(
        "`ECS_LOGLEVEL` that is wrong, and other values that do not end the start there",
        "some are passed over without a word",
        "each is a warning with the name, the value, the rule and the place",
    ),
    Deviation(
        "a path or an address that is none: `ECS_DATADIR`, `DOCKER_HOST`, `ECS_BACKEND_HOST`,"
        " `AWS_EC2_METADATA_SERVICE_ENDPOINT`, `AWS_CA_BUNDLE`, `ECS_AGENT_CONFIG_FILE_PATH`",
        "is not looked at; what uses it fails later",
        "ends the start: it would lead astray where data are kept, or whom the agent talks to",
    ),
    Deviation(
        "a relative path of `ECS_CGROUP_PATH` or `ECS_LOGFILE`",
        "is taken as it is",
        "counts as not given, with a warning",
    ),
    Deviation(
        "a list of ports with one that is wrong",
        "may be taken in part, with a 0 in it",
        "counts as not given as a whole",
    ),
    Deviation(
        "`ECS_VOLUME_PLUGIN_CAPABILITIES`",
        '`["efsAuth"]` on a packaged host; every word becomes a capability',
        "the same where the plugin is installed; words that are not known are left out",
    ),
    Deviation(
        "exit code for settings that cannot be used, and for a region that is missing",
        "1, so it is started again and again",
        "5: what is wrong stays wrong; 1 where it is instance metadata of EC2 that do not tell the region",
    ),
    Deviation(
        "quotes around a value in `ecs.config`",
        "kept in the agent's container, taken off by systemd for its starter",
        "taken off, with a warning",
    ),
    Deviation(
        "a comment in `ecs.config`",
        "`#A=b` is a variable with an odd name",
        "lines that begin with `#` or `;` are comments",
    ),
    Deviation(
        "a file of settings that is there and cannot be read",
        "is passed over",
        "ends the start",
    ),
    Deviation(
        "a key of the JSON file that means nothing",
        "is passed over",
        "a warning with the nearest one",
    ),
    Deviation(
        "`DataDir` and `DockerEndpoint` in the user data of the instance",
        "count",
        "do not: the agent takes its place on the host before it asks for instance metadata",
    ),
    Deviation(
        "`AWS_DEFAULT_REGION` of an external instance",
        "must be in the environment",
        "may be in any place that settings come from",
    ),
    Deviation(
        "`ECS_ENABLE_GPU_SUPPORT=true` in `/var/lib/ecs/ecs.config`",
        "is dropped where no `/dev/nvidia*` appears within 30 s",
        "stays: a driver that appears later is met when it does",
    ),
    Deviation(
        "who looks for GPUs (`ECS_ENABLE_GPU_SUPPORT`)",
        "ecs-init, once before the agent starts; a driver without a usable GPU ends the start",
        "the agent, by NVML: at its start, every 5 s while there are none, every minute while there are some. What has"
        " changed is registered. A driver without a usable GPU is a warning, and a condition of `/health/ready`",
    ),
    Deviation(
        "`/var/lib/ecs/gpu/nvidia-gpu-info.json`",
        "the only list of GPUs; the start ends where it cannot be read as JSON",
        "counts where NVML's library is not there; a warning where it cannot be read as JSON",
    ),
    Deviation(
        "a GPU that is cut into slices (MIG)",
        "one GPU, by its own id",
        "as many GPUs as it has slices, each by the id of the slice; the GPU itself is not given to anybody",
    ),
    Deviation(
        "attributes that name the version of NVIDIA's driver",
        "whenever the version is known",
        "where there is a GPU to give",
    ),
    Deviation(
        "device requests for GPUs on an external instance (`ECS_EXTERNAL`)",
        "every container has one once GPU support is on, without ids where it was given none",
        "the containers that were given GPUs have one, and no others",
    ),
    Deviation(
        "a task for a GPU that is not here",
        "is stopped without a reason",
        "is stopped, and the reason names the GPU; in the first 30 s after a start it waits for the driver",
    ),
    Deviation(
        "`ECS_DETAILED_OS_FAMILY` that is set and empty",
        "leaves the attribute out",
        "counts as not given, like every empty value",
    ),
    Deviation(
        "`NONECS_NUM_CONTAINERS_DELETE_PER_CYCLE` below 0",
        "no bound",
        "the same (a million); with a `config.toml`, or `--strict`, it must be 1 at least",
    ),
    Deviation(
        "`ECS_IMAGE_MINIMUM_CLEANUP_AGE=0`, `NON_ECS_IMAGE_MINIMUM_CLEANUP_AGE=0`",
        "count as not given: an hour",
        "no least age; a value of the JSON file still beats them",
    ),
    Deviation(
        "`ECS_DYNAMIC_HOST_PORT_RANGE` that is not set",
        "the kernel's `ip_local_port_range`",
        "the ports beside that, where there are enough: out of it, a free port may be gone before Docker has it",
    ),
    Deviation(
        "a disk that fills",
        "is not looked at; with `ECS_IMAGE_PULL_BEHAVIOR=prefer-cached` images are never cleaned up",
        "from `DOCKWORKER_DISK_HIGH_WATERMARK` on stopped containers and, unless `ECS_DISABLE_IMAGE_CLEANUP` is set,"
        " unused images go, whatever the pull behaviour; new tasks are refused from"
        " `DOCKWORKER_DISK_CRITICAL_WATERMARK` on",
    ),
    Deviation(
        "`ECS_TASK_PIDS_LIMIT=0`",
        "a warning; there is no limit",
        "no limit, without a word",
    ),
    Deviation(
        "`ECS_ENGINE_AUTH_TYPE`, `ECS_ENGINE_AUTH_DATA`, where one is missing, or an entry makes no sense",
        "no login, sometimes without a word",
        "no login at all, with a warning; with a `config.toml`, or `--strict`, an error",
    ),
    Deviation(
        "what is told of the host: attributes",
        "most capabilities always, each log driver that `ECS_AVAILABLE_LOGGING_DRIVERS` names",
        "only what works here today, and log drivers, SELinux and AppArmor only where Docker has them too",
    ),
    Deviation(
        "`ecs.vpc-id`, `ecs.subnet-id`; instance metadata that does not tell MAC, VPC or subnet",
        "told where tasks have network interfaces of their own; ends the start with 1 or 5",
        "found out and written into the log; nothing ends over it, because no task needs it yet",
    ),
    Deviation(
        "instance metadata of a machine that is no EC2 instance",
        "is asked for up to 30 s at each question, unless `ECS_EXTERNAL` is set",
        "is asked once, and not again if nobody answers",
    ),
    Deviation(
        "the token that makes a repeated registration the same call",
        "is drawn at each start",
        "is on the disk before the first call leaves: a registration whose answer was lost, or whose agent was killed,"
        " makes no second instance",
    ),
    Deviation(
        "an instance that ECS knows, and an ECS that is away or refuses to register it again",
        "nothing happens before it has; exit 1 after an hour at most, 5 over a refusal",
        "its tasks go on and ACS is connected meanwhile; it is tried for as long as it takes, a refusal is in the log",
    ),
    Deviation(
        "another `ECS_CLUSTER` than the one that the instance is registered in",
        "exit 5; the name and the ARN of one cluster are two clusters",
        "exit 5 only while tasks live here, else the instance joins the other cluster; a name and its ARN are the same",
    ),
    Deviation(
        "`ECS_CLUSTER` is not set, and the cluster `default` cannot be made",
        "registering is tried again, for an hour of its own",
        "registering is tried once more: somebody else may have made it",
    ),
    Deviation(
        "tags of an EC2 instance (`ECS_CONTAINER_INSTANCE_PROPAGATE_TAGS_FROM`)",
        "the first page of them",
        "all pages; they are asked for until EC2 has answered once",
    ),
    Deviation(
        "a warm pool (`ECS_WARM_POOLS_CHECK`), and instance metadata that fail for a moment",
        "exit 5, once the group has said nothing so far; the agent looks after nothing until the instance is InService",
        "asked again a minute later; tasks that are here are looked after meanwhile",
    ),
    Deviation(
        "DRAINING over a spot interruption, and an answer of ECS that lists a failure",
        "counts as done",
        "is asked for again each second",
    ),
    Deviation(
        "a recommendation to rebalance",
        "is not looked for",
        "sets the instance DRAINING where `DOCKWORKER_REBALANCE_DRAINING` says so",
    ),
    Deviation(
        "a Docker that takes no API version up to 1.44",
        "the agent cannot start",
        "is spoken to in the oldest version that it takes",
    ),
    Deviation(
        "options of the command line",
        "`-license`, `-ecs-attributes`, `-healthcheck`, `-windows-service`",
        "refused, each with a word on what to do instead; the others are taken by `dockworker run`",
    ),
    Deviation(
        "`-loglevel-driver`",
        "is not for the log file",
        "is for the log file too, where `ECS_LOGLEVEL_ON_INSTANCE` and `-loglevel-on-instance` say nothing",
    ),
    Deviation(
        "`HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`",
        "instance metadata goes through the proxy, unless `NO_PROXY` lists it; an empty `NO_PROXY` becomes"
        " `169.254.169.254,169.254.170.2` and Docker's socket; a proxy of an unknown kind is taken for a host",
        "metadata, task credentials, this machine and Docker are never proxied, and join a `NO_PROXY` of any content,"
        " for programs that the agent runs; a proxy of an unknown kind ends the start. STS and single sign-on are"
        " reached through http and https proxies only, the rest through socks5 too",
    ),
    Deviation(
        "`AWS_CA_BUNDLE`, `SSL_CERT_FILE`, `SSL_CERT_DIR`",
        "the first is not heeded for ECS",
        "what they hold is trusted for ECS, ACS and EC2 beside what the system trusts; for STS and single sign-on a"
        " file is trusted in place of the usual list, as AWS's own clients have it",
    ),
    Deviation(
        "`ECS_ACCEPT_INSECURE_CERT`",
        "only the option `-k`; for ECS and its control channel alike",
        "the option, or the setting; for the same connections",
    ),
    Deviation(
        "the name in the certificate of ACS",
        "the host with its port, so that a port other than 443 can never be verified",
        "the host",
    ),
    Deviation(
        "names of fields in messages of ACS",
        "are read in any case",
        "are those of the protocol, letter by letter; no server sends others",
    ),
    Deviation(
        "a message of ACS of more than 8 MiB, with more than 500,000 values, or with more than 10,000 tasks",
        "is read whatever its size",
        "is passed over, with a warning",
    ),
    Deviation(
        "fresh credentials for a task that is not known here (`IAMRoleCredentialsMessage`)",
        "are kept, and not acknowledged",
        "are acknowledged, and dropped",
    ),
    Deviation(
        "acknowledgement of word that something is being attached (`Attach…NetworkInterfacesMessage`,"
        " `ConfirmAttachmentMessage`)",
        "leaves while the word is being saved; of a volume nothing is saved before it was told",
        "leaves once it is saved, so that no crash forgets what was acknowledged",
    ),
    Deviation(
        "a network interface without an `attachmentArn`",
        "is acknowledged, and can never be told",
        "its message is not answered",
    ),
    Deviation(
        "a network interface or a volume that is announced under a new ARN, while the old one is still known",
        "the new ARN is not heeded",
        "the new ARN takes the place of the old one",
    ),
    Deviation(
        "how links and disks that are attached are noticed",
        "by events of udev, and by `lsblk` twice a second",
        "by a look at `/sys` and at udev's files four times a second, while something is on its way",
    ),
    Deviation(
        "`StageUpdateMessage`, `PerformUpdateMessage`",
        "refused with `Updates are disabled` unless `ECS_UPDATES_ENABLED` is set",
        "always refused so: this agent is updated by whoever installed it",
    ),
    Deviation(
        "a peer that does not answer the close frame with which an old connection to ACS is ended",
        "is waited for as long as it is silent, and without an end if it talks on",
        "is dropped after 30 s",
    ),
    Deviation(
        "silence after which a connection to ACS is dropped",
        "60 to 120 s",
        "60 to 80 s",
    ),
    Deviation(
        "a server that ends each connection to ACS at once, but in good order",
        "is met again without any pause",
        "is met so once; from then on the pauses are those after a failure",
    ),
    Deviation(
        "the endpoint of ACS that does not answer",
        "is asked for again after 12 hours",
        "is asked for again after three failures in a row",
    ),
    Deviation(
        "ciphers of TLS 1.2",
        "a list of its own, with RSA certificates only",
        "those of the system",
    ),
    Deviation(
        "keys in a file that nobody is known to rotate",
        "read once",
        "read again every five minutes, and at once when ECS refuses them",
    ),
    Deviation(
        "the rotated file of keys",
        "`/rotatingcreds/credentials` of its container",
        "the same, or `/root/.aws/credentials` of the host; while it is half written, the last keys serve on",
    ),
    Deviation(
        "keys of a role that cannot be renewed",
        "calls fail within five minutes of their end",
        "serve until they end; renewed from 15 minutes before",
    ),
    Deviation(
        "`AWS_RETRY_MODE`",
        "`standard` or `adaptive`",
        "always standard; `AWS_MAX_ATTEMPTS` counts",
    ),
    Deviation(
        "`ECS_EXCLUDE_IPV6_PORTBINDING=true` on a machine that lives on IPv6 alone",
        "ECS is told of no ports",
        "ECS is told of those on IPv6",
    ),
    *SERVED,
    Deviation(
        "who is given what is asked for at 169.254.170.2",
        "whoever knows the id in the path",
        "a container what is of its own task; processes of the host the credentials with which logs are written."
        " Others hear that there is no such id. `DOCKWORKER_ISOLATE_TASKS=false` goes by the id",
    ),
    Deviation(
        "credentials of a role that have expired",
        "are given",
        "are not: the answer is 503 until others come, for which ECS is asked anew from 15 minutes before",
    ),
    Deviation(
        "`ECS_AUDIT_LOGFILE`",
        "the agent's own log has its lines too; of a path that was asked for too often the ids are in it",
        "in the file alone, and no ids; of a request that was refused, the task is the one that asked",
    ),
    Deviation(
        "the firewall rules for 169.254.170.2",
        "its package makes them before the start and removes them after the end",
        "the agent makes them, and again where somebody flushed them; they stay when it ends."
        " `dockworker redirect remove` and `dockworker leave` remove them; those of another agent are left alone",
    ),
    Deviation(
        "how containers are measured",
        "a stream of statistics that Docker sends for each",
        "the kernel's files, read once a second; Docker is asked once for each start of a container",
    ),
    Deviation(
        "figures that could not be sent",
        "15 messages wait, others are lost a second later",
        "stay for the next frame, those of the last 80 seconds",
    ),
    Deviation(
        "figures of a task with a network of its own",
        "those of the network cover up to 13 minutes, and are told again and again",
        "are told once, as all others",
    ),
    Deviation(
        "counters of a container that its restart policy started again, after a restart of the agent",
        "go on",
        "begin with the present run of the container",
    ),
    Deviation(
        "a telemetry server that ends sessions as soon as they begin",
        "is connected to again without a wait",
        "is waited for from the second time on",
    ),
)
