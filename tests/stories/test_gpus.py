"""GPUs from the driver to a container: one that comes late, on a host that has never seen any."""

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.model.names import Image
from tests.host.nvml import Nvidia
from tests.sample_image import SAMPLE
from tests.stories.house import House, a_house, until

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ContainerDefinitionTypeDef

NOTICED_WITHIN = 30.0
WHOLE, SLICES = "GPU-5f1c", ["MIG-a0", "MIG-a1"]


def wants(gpus: int) -> "ContainerDefinitionTypeDef":
    return {
        "name": "app",
        "image": SAMPLE,
        "memory": 32,
        "command": ["sleep", "600"],
        "resourceRequirements": [{"type": "GPU", "value": str(gpus)}],
    }


def gpus_of(house: House) -> list[str]:
    """The GPUs that ECS knows of."""
    (resource,) = [one for one in house.instance()["registeredResources"] if one["name"] == "GPU"] or [{}]
    return list(resource.get("stringSetValue", []))


def inspected(house: House, task: str) -> Mapping[str, Any]:
    """The container of *task*, once it runs."""
    (container,) = house.until_status(task, "RUNNING")["containers"]
    found = subprocess.run(["docker", "inspect", container["runtimeId"]], check=True, capture_output=True)
    (shown,) = json.loads(found.stdout)
    told: Mapping[str, Any] = shown
    return told


def test_a_driver_that_comes_late_is_noticed_and_its_gpus_reach_containers(tmp_path: Path, sample_image: Image) -> None:
    nvidia = Nvidia(tmp_path)
    settings = {"ECS_ENABLE_GPU_SUPPORT": "true", "ECS_NVIDIA_RUNTIME": "runc", "ECS_CONTAINER_STOP_TIMEOUT": "1s"}
    with a_house(tmp_path, **settings, **nvidia.environ) as house:
        definition = house.define("gpus", wants(2))
        assert gpus_of(house) == []
        refused = house.ecs.run_task(taskDefinition=definition)["failures"]
        assert [one["reason"] for one in refused] == ["RESOURCE:GPU"]

        nvidia.install()
        nvidia.show("driver 550.54.15", f"gpu {WHOLE}", f"mig GPU-07aa {SLICES[0]} - {SLICES[1]}")
        came = time.monotonic()
        until(lambda: gpus_of(house), "the GPUs to be told of", NOTICED_WITHIN)

        assert time.monotonic() - came < NOTICED_WITHIN
        assert gpus_of(house) == [WHOLE, *SLICES]
        told = {one["name"]: one.get("value") for one in house.instance()["attributes"]}
        assert told["ecs.capability.gpu-driver-version"] == "550.54.15"
        assert "ecs.capability.nvidia-driver-version.550.54.15" in told

        shown = inspected(house, house.run(definition))
        assert f"NVIDIA_VISIBLE_DEVICES={WHOLE},{SLICES[0]}" in shown["Config"]["Env"]
        assert shown["HostConfig"]["Runtime"] == "runc"
        refused = house.ecs.run_task(taskDefinition=definition)["failures"]
        assert [one["reason"] for one in refused] == ["RESOURCE:GPU"]
        last = inspected(house, house.run(house.define("one", wants(1))))
        assert f"NVIDIA_VISIBLE_DEVICES={SLICES[1]}" in last["Config"]["Env"]
