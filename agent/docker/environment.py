"""The environment of a container: what its definition says, and what ECS promises every container beside it.

Later ones win over earlier ones: the definition, what the agent adds, secrets. Environment files and the region only
fill the gaps that are left; of two files the earlier wins.
"""

from collections.abc import Collection

from agent.docker.surroundings import Surroundings
from agent.model.acts import CreateContainer
from agent.model.credentials import ContainerValues

AGENT_HOST = "http://169.254.170.2"
"""Where containers reach the agent (task metadata endpoint)."""

REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")
GPUS = "NVIDIA_VISIBLE_DEVICES"
NEURONS = "AWS_NEURON_VISIBLE_DEVICES"


def credentials_path(credentials_id: str) -> str:
    """Where at the agent the credentials with this id are served."""
    return f"/v2/credentials/{credentials_id}"


def of_definition(act: CreateContainer, host: Surroundings) -> dict[str, str]:
    """The variables of the definition and those that the agent adds, without what was fetched."""
    wiring = act.wiring
    found = dict(act.spec.environment)
    if act.spec.gpus and not host.external:
        found[GPUS] = ",".join(act.spec.gpus)
    if wiring.task_credentials_id:
        found["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = credentials_path(wiring.task_credentials_id)
    if wiring.metadata_id:
        found["ECS_CONTAINER_METADATA_URI"] = f"{AGENT_HOST}/v3/{wiring.metadata_id}"
        found["ECS_CONTAINER_METADATA_URI_V4"] = f"{AGENT_HOST}/v4/{wiring.metadata_id}"
        found["ECS_AGENT_URI"] = f"{AGENT_HOST}/api/{wiring.metadata_id}"
    return found


def whole(
    act: CreateContainer, values: ContainerValues, host: Surroundings, of_image: Collection[str] = ()
) -> dict[str, str]:
    """All variables; *of_image* are the image's own, as ``NAME=value``, which these are laid over by Docker."""
    found = {**of_definition(act, host), **values.environment}
    for file in values.files:
        found = {**file, **found}
    if _lacks_region(found, host) and not any(entry.partition("=")[0] in REGION for entry in of_image):
        found |= dict.fromkeys(REGION, host.region)
    return found


def asks_image(act: CreateContainer, values: ContainerValues, host: Surroundings) -> bool:
    """Does what `whole` gives depend on the image's own variables?"""
    return _lacks_region({**of_definition(act, host), **values.environment, **_of_files(values)}, host)


def _of_files(values: ContainerValues) -> dict[str, str]:
    return {name: value for file in values.files for name, value in file.items()}


def _lacks_region(found: Collection[str], host: Surroundings) -> bool:
    return bool(host.region) and not any(name in found for name in REGION)
