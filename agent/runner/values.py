"""Values that tasks keep elsewhere: what stands for the services that keep them while none is asked yet."""

from agent.model.acts import FetchValues
from agent.model.credentials import RegistryLogin, TaskValues
from agent.model.errors import GiveUp
from agent.model.parts import Registry
from agent.model.task import ImageSource, TaskSpec

NOT_YET = "not supported by this agent yet"
CANNOT_PREPARE = "ResourceInitializationError"
CANNOT_LOG_IN = "CannotPullECRContainerError"


class NoValues:
    """Fulfils the runner's `Values` by naming the feature that a task asks for and that is not there."""

    async def fetch(self, act: FetchValues) -> TaskValues:
        """Raises GiveUp for a task that asks for anything."""
        feature = _asked_for(act.spec) if act.spec is not None else ""
        if feature:
            raise GiveUp(CANNOT_PREPARE, f"{feature}: {NOT_YET}")
        return TaskValues()

    async def login(self, source: ImageSource) -> RegistryLogin:
        """Raises GiveUp."""
        raise GiveUp(CANNOT_LOG_IN, f"a login to Amazon ECR for {source.image}: {NOT_YET}")


def _asked_for(spec: TaskSpec) -> str:
    for container in spec.containers:
        if container.secrets:
            return "secrets"
        if container.environment_files:
            return "environmentFiles"
        if container.registry is not None and container.registry.kind is Registry.ASM:
            return "repositoryCredentials"
    return ""
