"""A host in memory: the volumes, cgroups and fetched values of tasks. Like Docker, it keeps what a container uses."""

from agent.model.acts import (
    CreateCgroup,
    CreateContainer,
    CreateVolume,
    FetchValues,
    RemoveCgroup,
    RemoveVolume,
    ResourceAct,
    StartContainer,
)
from agent.model.errors import TryAgain
from agent.model.names import TaskArn, task_id
from agent.model.parts import Secret
from tests.engine.sim_docker import SimDocker

TOKEN = Secret("TOKEN", "/token")


class SimHost:
    """What there is besides images and containers."""

    def __init__(self, docker: SimDocker) -> None:
        self.docker = docker
        self.made: dict[str, TaskArn] = {}
        """Volumes and cgroups, by name, and whose they are."""
        self.vault: set[TaskArn] = set()

    def effect(self, act: ResourceAct) -> None:
        """Do it. Raises TryAgain for a removal of what a container uses."""
        match act:
            case CreateVolume():
                self.made[act.name] = act.task
            case CreateCgroup():
                self.made[act.path] = act.task
            case FetchValues():
                self.vault.add(act.task)
            case RemoveVolume(name=name):
                if any(name in container.volumes for container in self.docker.containers.values()):
                    raise TryAgain(f"volume {name} is in use", "CannotRemoveVolumeError")
                self.made.pop(name, None)
            case RemoveCgroup(path=path):
                if any(container.labels.task == act.task for container in self.docker.running()):
                    raise TryAgain("device or resource busy")
                self.made.pop(path, None)
            case _:
                raise AssertionError(f"{act} is not expected")

    def check_needs(self, act: CreateContainer) -> None:
        """A container is created when all is there that it needs, and not before."""
        names = [bind.partition(":")[0] for bind in act.wiring.binds]
        missing = [name for name in names if name and name not in self.made]
        assert not missing, f"{act.container} is created before {missing}"
        assert not act.spec.secrets or act.task in self.vault, f"{act.container} is created before its values are there"

    def check_limits(self, act: StartContainer) -> None:
        """A container starts in the cgroup of its task, once that has its limits."""
        path = f"/ecs/{task_id(act.task)}"
        assert path in self.made, f"{act.container} is started before {path} is there"

    def crash(self) -> None:
        """The agent dies, and with it what it had in memory."""
        self.vault.clear()

    def left_of(self, task: TaskArn, shared: frozenset[str]) -> list[str]:
        return [name for name, owner in self.made.items() if owner == task and name not in shared]
