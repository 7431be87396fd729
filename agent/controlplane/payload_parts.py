"""The parts of a container and of a task, in the words of ACS (wire protocol, Container and Volume)."""

from collections.abc import Iterator

from agent.controlplane.definition_values import ECR, keeper_of
from agent.controlplane.definition_volumes import DOCKER, EFS
from agent.controlplane.records import JsonObject, PlaneTask
from agent.wire.acs_parts import (
    AsmAuthData,
    Association,
    ContainerDependency,
    DockerVolume,
    EcrAuthData,
    EfsAuthorization,
    EfsVolume,
    HostVolume,
    MountPoint,
    PortMapping,
    RegistryAuthentication,
    RestartPolicy,
    Secret,
    Volume,
    VolumeFrom,
)


def port(mapping: JsonObject) -> PortMapping:
    """A port, or a range of ports."""
    return PortMapping(
        container_port=mapping.get("containerPort"),
        host_port=mapping.get("hostPort"),
        protocol=mapping["protocol"],
        container_port_range=mapping.get("containerPortRange"),
    )


def mount(point: JsonObject) -> MountPoint:
    """A place inside the container where a volume of the task is."""
    return MountPoint(point["sourceVolume"], point["containerPath"], point.get("readOnly", False))


def source(other: JsonObject) -> VolumeFrom:
    """A container whose volumes are used."""
    return VolumeFrom(other["sourceContainer"], other.get("readOnly", False))


def dependency(other: JsonObject) -> ContainerDependency:
    """A container that is waited for."""
    return ContainerDependency(other["containerName"], other["condition"])


def restart(policy: JsonObject | None) -> RestartPolicy | None:
    """Whether the container is started again, as far as the definition speaks of it."""
    if policy is None:
        return None
    return RestartPolicy(policy["enabled"], policy.get("ignoredExitCodes"), policy.get("restartAttemptPeriod"))


def secrets(container: JsonObject, region: str) -> list[Secret]:
    """What is to be fetched for the container's environment and for its log driver."""
    options = container.get("logConfiguration", {}).get("secretOptions", ())
    return [
        *_secrets(container.get("secrets", ()), region, "ENVIRONMENT_VARIABLE", "CONTAINER"),
        *_secrets(options, region, "BOOTSTRAP", "LOG_DRIVER"),
    ]


def _secrets(given: list[JsonObject], region: str, kind: str, target: str) -> Iterator[Secret]:
    for secret in given:
        keeper = keeper_of(secret["valueFrom"])
        assert keeper is not None, "checked when the definition was registered"
        yield Secret(
            name=secret["name"],
            value_from=secret["valueFrom"],
            region=keeper.region or region,
            provider=keeper.provider,
            type=kind,
            target=target,
        )


def registry(container: JsonObject, execution_role: str, region: str) -> RegistryAuthentication | None:
    """How the image's registry is logged in to: by a secret, as ECR, or as the host is configured (None)."""
    login = container.get("repositoryCredentials")
    if login is not None:
        kept_in = login["credentialsParameter"]
        keeper = keeper_of(kept_in)
        where = keeper.region if keeper is not None and keeper.region else region
        return RegistryAuthentication(type="asm", asm_auth_data=AsmAuthData(kept_in, where))
    ecr = ECR.match(container["image"])
    if ecr is None:
        return None
    found = EcrAuthData(ecr["registry"], ecr["region"], use_execution_role=bool(execution_role))
    return RegistryAuthentication(type="ecr", ecr_auth_data=found)


def volume(given: JsonObject) -> Volume:
    """A volume of the task, with its type spelled out."""
    name = given["name"]
    if DOCKER in given:
        docker = given[DOCKER]
        made = DockerVolume(
            scope=docker["scope"],
            autoprovision=docker.get("autoprovision"),
            driver=docker.get("driver"),
            driver_opts=docker.get("driverOpts"),
            labels=docker.get("labels"),
        )
        return Volume(name, "docker", docker_volume_configuration=made)
    if EFS in given:
        return Volume(name, "efs", efs_volume_configuration=_efs(given[EFS]))
    return Volume(name, "host", HostVolume(given["host"].get("sourcePath")))


def _efs(given: JsonObject) -> EfsVolume:
    access = given.get("authorizationConfig")
    return EfsVolume(
        file_system_id=given["fileSystemId"],
        root_directory=given["rootDirectory"],
        transit_encryption=given.get("transitEncryption"),
        transit_encryption_port=given.get("transitEncryptionPort"),
        authorization_config=EfsAuthorization(access.get("accessPointId"), access.get("iam")) if access else None,
    )


def associations(task: PlaneTask) -> list[Association]:
    """The GPUs that were chosen when the task was placed, each with the one container that gets it."""
    return [Association(gpu, "gpu", [container.name]) for container in task.containers for gpu in container.gpu_ids]
