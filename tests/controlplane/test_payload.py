import json
from typing import Any

from agent.controlplane.events import DeliveriesAsked
from agent.controlplane.payload import payload
from agent.wire.acs_spec import read_spec
from agent.wire.acs_task import Container, Task
from agent.wire.reading import read
from tests.controlplane.desk import T0, Desk

RICH: dict[str, object] = {
    "name": "web",
    "image": "busybox",
    "cpu": 10,
    "memory": 200,
    "memoryReservation": 100,
    "command": ["a", "b"],
    "entryPoint": ["sh"],
    "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    "portMappings": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 53, "protocol": "udp"}],
    "stopTimeout": 7,
    "hostname": "h",
    "user": "1000",
    "workingDirectory": "/srv",
    "pseudoTerminal": True,
    "interactive": True,
    "dockerLabels": {"team": "a"},
    "privileged": True,
    "readonlyRootFilesystem": True,
    "dnsServers": ["1.1.1.1"],
    "dnsSearchDomains": ["x"],
    "dockerSecurityOptions": ["no-new-privileges"],
    "extraHosts": [{"hostname": "db", "ipAddress": "10.0.0.1"}],
    "ulimits": [{"name": "nofile", "softLimit": 1, "hardLimit": 2}],
    "systemControls": [{"namespace": "net.core.somaxconn", "value": "9"}],
    "logConfiguration": {"logDriver": "json-file", "options": {"max-size": "1m"}},
    "healthCheck": {"command": ["CMD-SHELL", "true"], "startPeriod": 3},
    "linuxParameters": {
        "capabilities": {"add": ["SYS_PTRACE"], "drop": ["MKNOD"]},
        "devices": [
            {"hostPath": "/dev/null", "permissions": ["read"]},
            {"hostPath": "/dev/a", "containerPath": "/dev/b"},
        ],
        "initProcessEnabled": True,
        "sharedMemorySize": 3,
        "tmpfs": [{"containerPath": "/t", "size": 5, "mountOptions": ["noexec"]}],
        "maxSwap": 50,
        "swappiness": 10,
    },
}


def told(container: dict[str, object], run: dict[str, object] | None = None, **definition: object) -> Task:
    """The task that an agent is told to run."""
    desk = Desk()
    answer = desk.call("RegisterTaskDefinition", **{"family": "web", "containerDefinitions": [container]} | definition)
    required = answer["taskDefinition"]["requiresAttributes"]
    host = desk.host(attributes=required, memory=4000)
    desk.run(**(run or {}))
    [delivery] = desk.decide(DeliveriesAsked(host, desk.now)).deliveries
    message = payload(delivery, "arn:cluster", {}, T0)
    assert (message.cluster_arn, message.container_instance_arn) == ("arn:cluster", host)
    assert message.message_id
    assert message.seq_num
    assert message.tasks is not None
    assert read_spec(message.tasks[0]).containers, "the agent understands all of it"
    return read(message.tasks[0], Task)


def only(task: Task) -> Container:
    assert task.containers is not None
    return task.containers[0]


def documents(container: Container) -> tuple[dict[str, Any], dict[str, Any]]:
    assert container.docker_config is not None
    assert container.docker_config.config is not None
    assert container.docker_config.host_config is not None
    return json.loads(container.docker_config.config), json.loads(container.docker_config.host_config)


def test_a_container_travels_whole_and_in_dockers_words() -> None:
    container = only(told(RICH))

    assert (container.name, container.image, container.essential) == ("web", "busybox", True)
    assert (container.cpu, container.memory, container.stop_timeout) == (10, 200, 7)
    assert (container.command, container.entry_point) == (["a", "b"], ["sh"])
    assert container.environment == {"AWS_EXECUTION_ENV": "AWS_ECS_EC2", "A": "1", "B": "2"}
    assert [(p.container_port, p.host_port, p.protocol) for p in container.port_mappings or ()] == [
        (80, 8080, "tcp"),
        (53, 0, "udp"),
    ]
    assert container.health_check_type == "docker"
    config, host = documents(container)
    assert config == {
        "Hostname": "h",
        "User": "1000",
        "WorkingDir": "/srv",
        "Tty": True,
        "OpenStdin": True,
        "Labels": {"team": "a"},
        "Healthcheck": {
            "Test": ["CMD-SHELL", "true"],
            "Interval": 30_000_000_000,
            "Timeout": 5_000_000_000,
            "Retries": 3,
            "StartPeriod": 3_000_000_000,
        },
    }
    assert host == {
        "NetworkMode": "bridge",
        "Privileged": True,
        "ReadonlyRootfs": True,
        "Dns": ["1.1.1.1"],
        "DnsSearch": ["x"],
        "SecurityOpt": ["no-new-privileges"],
        "MemoryReservation": 104_857_600,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
        "ExtraHosts": ["db:10.0.0.1"],
        "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}],
        "Sysctls": {"net.core.somaxconn": "9"},
        "CapAdd": ["SYS_PTRACE"],
        "CapDrop": ["MKNOD"],
        "Devices": [
            {"PathOnHost": "/dev/null", "PathInContainer": "/dev/null", "CgroupPermissions": "r"},
            {"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "rwm"},
        ],
        "Init": True,
        "ShmSize": 3_145_728,
        "Tmpfs": {"/t": "noexec,size=5m"},
        "MemorySwap": 262_144_000,
        "MemorySwappiness": 10,
    }


def test_what_was_not_asked_for_is_not_in_the_documents() -> None:
    config, host = documents(only(told({"name": "a", "image": "i", "memory": 9}, networkMode="none")))

    assert (config, host) == ({}, {"NetworkMode": "none"})


def test_overrides_are_applied_before_the_agent_is_told() -> None:
    override = {"name": "web", "command": ["c"], "environment": [{"name": "B", "value": "3"}], "memory": 300}

    task = told(RICH, {"overrides": {"containerOverrides": [override], "cpu": "512", "memory": "1024"}}, cpu="256")

    container = only(task)
    assert container.command == ["c"]
    assert container.environment == {"AWS_EXECUTION_ENV": "AWS_ECS_EC2", "A": "1", "B": "3"}
    assert container.memory == 300
    assert (task.cpu, task.memory) == (0.5, 1024)


def test_sequence_numbers_only_grow_also_when_the_clock_goes_back() -> None:
    desk = Desk()
    desk.define()
    host = desk.host()
    seen = []
    for hours in (0, -5, 3):
        desk.later(hours=hours)
        desk.run()
        seen = [seq for _, seq in desk.owed(host)]
    assert seen == sorted(set(seen))
    assert seen[0] == int(T0.timestamp() * 1000)


def test_what_is_owed_follows_from_what_is_acknowledged() -> None:
    desk = Desk()
    desk.define()
    host = desk.host()
    first, second = desk.run(), desk.run()
    (one, _), (two, _) = desk.owed(host)
    assert host in desk.call("RunTask", taskDefinition="web")["tasks"][0]["containerInstanceArn"]
    assert desk.last.touched == {host}

    desk.acknowledge(host, one)
    assert one not in dict(desk.owed(host))
    desk.acknowledge(host, one)
    assert not desk.last.changes
    desk.call("StopTask", task=first)
    assert desk.last.touched == {host}
    desk.call("StopTask", task=second)
    owed = dict(desk.owed(host))
    assert two not in owed, "a stop takes the place of a start that was not acknowledged"
    stop = next(name for name in owed if name.startswith(first.rpartition("/")[2]))
    desk.acknowledge(host, stop)
    assert stop not in dict(desk.owed(host))
    desk.report(second, "STOPPED")
    assert not [name for name in dict(desk.owed(host)) if name.startswith(second.rpartition("/")[2])]


def test_a_refused_task_is_not_sent_again_once_its_end_is_told() -> None:
    desk = Desk()
    desk.define()
    host = desk.host()
    arn = desk.run()

    desk.report(arn, "STOPPED", reason="UnrecogniedTaskError: Error loading task - bad")

    assert desk.owed(host) == []
    assert desk.task(arn)["stoppedReason"].startswith("UnrecogniedTaskError")
