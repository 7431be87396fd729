"""A container definition in Docker's words: the two JSON texts inside a payload (wire protocol, dockerConfig)."""

import json

from agent.controlplane.linux_parameters import MIB, linux_host_config
from agent.controlplane.records import JsonObject
from agent.wire.acs_parts import DockerConfig

SECOND = 1_000_000_000
LEAST_VERSION = "1.17"
CONFIG = {
    "hostname": "Hostname",
    "user": "User",
    "workingDirectory": "WorkingDir",
    "disableNetworking": "NetworkDisabled",
    "interactive": "OpenStdin",
    "pseudoTerminal": "Tty",
    "dockerLabels": "Labels",
}
HOST_CONFIG = {
    "privileged": "Privileged",
    "readonlyRootFilesystem": "ReadonlyRootfs",
    "dnsServers": "Dns",
    "dnsSearchDomains": "DnsSearch",
    "dockerSecurityOptions": "SecurityOpt",
}


STREAM_PREFIX = "awslogs-stream-prefix"


def docker_config(container: JsonObject, network_mode: str, task_arn: str) -> DockerConfig:
    """The ``dockerConfig`` of a payload's container."""
    host = host_config_of(container, network_mode)
    if "LogConfig" in host:
        host["LogConfig"] = named_stream(host["LogConfig"], container["name"], task_arn)
    return DockerConfig(
        version=version_of(container), config=json.dumps(config_of(container)), host_config=json.dumps(host)
    )


def named_stream(log: JsonObject, container: str, task_arn: str) -> JsonObject:
    """*log* with the name of the stream in place of its prefix, which Docker does not know (LogConfiguration)."""
    options = dict(log["Config"])
    prefix = options.pop(STREAM_PREFIX, "") if log["Type"] == "awslogs" else ""
    if prefix:
        options["awslogs-stream"] = f"{prefix}/{container}/{task_arn.rpartition('/')[2]}"
    return {**log, "Config": options}


def config_of(container: JsonObject) -> JsonObject:
    """Docker's ``Config``, without what the agent fills in itself."""
    config = {docker: container[ours] for ours, docker in CONFIG.items() if container.get(ours)}
    check = container.get("healthCheck")
    if check:
        config["Healthcheck"] = {
            "Test": check["command"],
            "Interval": check["interval"] * SECOND,
            "Timeout": check["timeout"] * SECOND,
            "Retries": check["retries"],
            "StartPeriod": check.get("startPeriod", 0) * SECOND,
        }
    return config


def host_config_of(container: JsonObject, network_mode: str) -> JsonObject:
    """Docker's ``HostConfig``, without what the agent fills in itself."""
    host: JsonObject = {"NetworkMode": network_mode}
    host |= {docker: container[ours] for ours, docker in HOST_CONFIG.items() if container.get(ours)}
    if container.get("memoryReservation"):
        host["MemoryReservation"] = container["memoryReservation"] * MIB
    log = container.get("logConfiguration")
    if log:
        host["LogConfig"] = {"Type": log["logDriver"], "Config": log.get("options", {})}
    if container.get("extraHosts"):
        host["ExtraHosts"] = [f"{entry['hostname']}:{entry['ipAddress']}" for entry in container["extraHosts"]]
    if container.get("ulimits"):
        host["Ulimits"] = [
            {"Name": limit["name"], "Soft": limit["softLimit"], "Hard": limit["hardLimit"]}
            for limit in container["ulimits"]
        ]
    if container.get("systemControls"):
        host["Sysctls"] = {control["namespace"]: control["value"] for control in container["systemControls"]}
    return host | linux_host_config(container)


def version_of(container: JsonObject) -> str:
    """The version of Docker's API since which all of *container* is understood."""
    if container.get("linuxParameters", {}).get("initProcessEnabled"):
        return "1.25"
    return "1.24" if container.get("healthCheck") or container.get("systemControls") else LEAST_VERSION
