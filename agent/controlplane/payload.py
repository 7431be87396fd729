"""What an agent is owed, in the words of ACS (wire protocol, PayloadMessage): one task a message."""

from collections.abc import Mapping
from datetime import datetime

from agent.controlplane import arns
from agent.controlplane.delivery import Delivery
from agent.controlplane.docker_config import docker_config
from agent.controlplane.launch import Launch, launch_of
from agent.controlplane.payload_parts import (
    associations,
    dependency,
    mount,
    port,
    registry,
    restart,
    secrets,
    source,
    volume,
)
from agent.controlplane.records import JsonObject, PlaneTask, TaskDefinition
from agent.wire.acs import PayloadMessage, task_text
from agent.wire.acs_parts import EnvironmentFile
from agent.wire.acs_task import Container, IAMRoleCredentials, Task

Minted = Mapping[str, IAMRoleCredentials]
"""Fresh values by credentials id."""

UNITS = 1024
"""CPU units of one processor."""


def payload(delivery: Delivery, cluster_arn: str, minted: Minted, at: datetime) -> PayloadMessage:
    """The message for one task. *minted* holds values for the roles of a task that is to run."""
    task = delivery.task
    definition = delivery.definition
    if definition is None:
        told = Task(arn=task.arn, desired_status="STOPPED")
    else:
        told = _to_run(task, launch_of(definition.body, task.overrides), definition, minted)
    return PayloadMessage(
        message_id=delivery.message_id,
        cluster_arn=cluster_arn,
        container_instance_arn=task.instance,
        tasks=[task_text(told)],
        seq_num=delivery.seq,
        timeline=delivery.seq,
        generated_at=int(at.timestamp() * 1000),
    )


def _to_run(task: PlaneTask, launch: Launch, definition: TaskDefinition, minted: Minted) -> Task:
    body = definition.body
    return Task(
        arn=task.arn,
        desired_status="RUNNING",
        family=definition.family,
        version=str(definition.revision),
        containers=[
            _container(container, known.arn, launch, task)
            for container, known in zip(launch.containers, task.containers, strict=True)
        ],
        cpu=launch.cpu / UNITS if launch.cpu else None,
        memory=launch.memory or None,
        network_mode=launch.network_mode,
        pid_mode=body.get("pidMode"),
        ipc_mode=body.get("ipcMode"),
        volumes=[volume(one) for one in body["volumes"]] or None,
        associations=associations(task) or None,
        role_credentials=minted.get(task.task_credentials_id),
        execution_role_credentials=minted.get(task.execution_credentials_id),
        launch_type=task.launch_type,
        enable_fault_injection=body.get("enableFaultInjection"),
        group=task.group,
        service_name=task.group.removeprefix("service:") if task.group.startswith("service:") else None,
    )


def _container(container: JsonObject, arn: str, launch: Launch, task: PlaneTask) -> Container:
    logs_to_aws = container.get("logConfiguration", {}).get("logDriver") == "awslogs"
    environment = {variable["name"]: variable["value"] for variable in container["environment"]}
    region = arns.region_of(task.arn)
    return Container(
        name=container["name"],
        image=container["image"],
        container_arn=arn,
        essential=container["essential"],
        cpu=container["cpu"],
        memory=container.get("memory"),
        command=container.get("command"),
        entry_point=container.get("entryPoint"),
        environment={"AWS_EXECUTION_ENV": f"AWS_ECS_{task.launch_type}", **environment},
        environment_files=[EnvironmentFile(f["value"], f["type"]) for f in container.get("environmentFiles", ())]
        or None,
        secrets=secrets(container, region) or None,
        registry_authentication=registry(container, launch.execution_role, region),
        port_mappings=[port(mapping) for mapping in container["portMappings"]],
        links=container.get("links") or None,
        mount_points=[mount(point) for point in container["mountPoints"]] or None,
        volumes_from=[source(other) for other in container["volumesFrom"]] or None,
        depends_on=[dependency(other) for other in container.get("dependsOn", ())] or None,
        docker_config=docker_config(container, launch.network_mode, task.arn),
        health_check_type="docker" if container.get("healthCheck") else None,
        start_timeout=container.get("startTimeout"),
        stop_timeout=container.get("stopTimeout"),
        restart_policy=restart(container.get("restartPolicy")),
        logs_auth_strategy="ExecutionRole" if logs_to_aws and launch.execution_role else None,
    )
