"""A task that may ask for faults: from its definition to the packets that are lost."""

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

from agent.host.fault_tools_driver import lacking
from agent.model.names import Image
from tests.stories.house import a_house, containers, free_port, until

ATTRIBUTE = "ecs.capability.fault-injection"
SERVES = "mkdir /tmp/served; exec httpd -f -p 8080 -h /tmp/served"
ASKS = """
ask() { wget -q -O - --post-data "$2" "http://$0/api/${ECS_AGENT_URI##*/}/fault/v1/$1"; echo; }
"""
HOLE = '{"Port": 8080, "Protocol": "tcp", "TrafficType": "ingress"}'


def inside(docker_id: str, address: str, script: str) -> list[str]:
    words = ["docker", "exec", docker_id, "sh", "-c", ASKS + script, address]
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=30).stdout.split()


def answers(host: str) -> bool:
    try:
        with socket.create_connection((host, 8080), timeout=0.3):
            return True
    except TimeoutError:
        return False


def test_a_task_cuts_its_own_port_and_lets_others_come_again(tmp_path: Path, sample_image: Image) -> None:
    address = f"172.17.0.1:{free_port()}"
    settings = {
        "DOCKWORKER_TASK_ADDRESS": address,
        "DOCKWORKER_TASK_REDIRECT": "false",
        "ECS_AUDIT_LOGFILE": str(tmp_path / "audit.log"),
        "ECS_INSTANCE_ATTRIBUTES": json.dumps({ATTRIBUTE: ""}),
        "ECS_CONTAINER_STOP_TIMEOUT": "1s",
    }
    with a_house(tmp_path, **settings) as house:
        definition = house.ecs.register_task_definition(
            family="shaky",
            enableFaultInjection=True,
            containerDefinitions=[
                {"name": "app", "image": sample_image, "memory": 32, "command": ["sh", "-c", SERVES]}
            ],
        )["taskDefinition"]
        assert definition["enableFaultInjection"]
        house.until_status(house.run(definition["taskDefinitionArn"]), "RUNNING")
        (docker_id,) = containers(house)
        shown: dict[str, Any] = json.loads(
            subprocess.run(["docker", "inspect", docker_id], check=True, capture_output=True, text=True).stdout
        )[0]
        host = shown["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        until(lambda: answers(host), "the container to serve")

        assert inside(docker_id, address, f"ask network-blackhole-port/start '{HOLE}'") == ['{"Status":"running"}']
        assert not answers(host)

        assert inside(docker_id, address, f"ask network-blackhole-port/stop '{HOLE}'") == ['{"Status":"stopped"}']
        assert answers(host)

        log = house.agent.log.read_text()
        said = [line for line in log.splitlines() if "network_faults_not_offered" in line]
        assert all("netem in the kernel" in line for line in said)
        assert bool(said) is bool(lacking())

        (secret,) = (one.rpartition("/")[2] for one in shown["Config"]["Env"] if one.startswith("ECS_AGENT_URI="))
        assert secret not in log
