"""What the pieces of the wiring are handed: the rooms that are open, and who we are."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.aws.access_client import Access
from agent.aws.ecs_client import EcsClient
from agent.aws.instance_client import InstanceClient
from agent.config.settings import Settings
from agent.docker.container_driver import ContainerDriver
from agent.docker.engine_driver import DockerEngine
from agent.docker.surroundings import Surroundings
from agent.engine.engine import Engine
from agent.model.identity import Identity
from agent.model.seen import EngineFacts
from agent.runner.loop import Runner
from agent.runner.vault import Vault
from agent.runner.watch_loop import Watcher
from agent.shelves import Shelves
from agent.store.journal_driver import Journal


@dataclass(frozen=True, slots=True)
class Joints:
    """The open rooms of one agent. `owner` gives who we are: the instance's ARN may come to be known later."""

    settings: Settings
    owner: Callable[[], Identity]
    docker: DockerEngine
    containers: ContainerDriver
    facts: EngineFacts
    around: Surroundings
    engine: Engine
    runner: Runner
    watcher: Watcher
    vault: Vault
    journal: Journal
    shelves: Shelves
    ecs: EcsClient
    access: Access
    instance: InstanceClient
