"""A task as ECS sends it, to be changed field by field."""

from copy import deepcopy
from typing import Any

import msgspec

ARN = "arn:aws:ecs:us-west-2:111122223333:task/demo/aaaabbbbccccddddeeeeffff00001111"
INSTANCE = "arn:aws:ecs:us-west-2:111122223333:container-instance/demo/0123456789abcdef0123456789abcdef"

WEB: dict[str, Any] = {
    "name": "web",
    "image": "nginx:1.27",
    "containerArn": "arn:aws:ecs:us-west-2:111122223333:container/demo/1",
    "essential": True,
    "cpu": 256,
    "memory": 128,
    "command": ["nginx", "-g", "daemon off;"],
    "entryPoint": ["/bin/sh"],
    "environment": {"MODE": "prod"},
    "portMappings": [{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}, {"containerPort": 53, "protocol": "udp"}],
    "stopTimeout": 45,
    "overrides": "{}",
    "dockerConfig": {"version": "1.24", "config": '{"User":"nobody"}', "hostConfig": '{"NetworkMode":"bridge"}'},
}

ROLE = {
    "credentialsId": "b9c1-app",
    "roleArn": "arn:aws:iam::111122223333:role/app",
    "accessKeyId": "ASIAVISIBLE",
    "secretAccessKey": "hush-secret",
    "sessionToken": "hush-token",
    "expiration": "2026-01-15T18:00:00Z",
}

TASK: dict[str, Any] = {
    "arn": ARN,
    "desiredStatus": "RUNNING",
    "family": "shop",
    "version": "7",
    "cpu": 0.5,
    "memory": 512,
    "networkMode": "bridge",
    "containers": [WEB],
}


def raw(document: object) -> msgspec.Raw:
    """*document* as it stands in a payload."""
    return msgspec.Raw(msgspec.json.encode(document))


def a_task(**changes: object) -> dict[str, Any]:
    """The sample task with *changes* to the task itself."""
    return {**deepcopy(TASK), **changes}


def a_task_with(**changes: object) -> dict[str, Any]:
    """The sample task with *changes* to its only container."""
    return a_task(containers=[{**deepcopy(WEB), **changes}])
