"""What is the same for every container that this agent makes: where the host is, and what its operator decided."""

from dataclasses import dataclass
from typing import Self

from agent.config.settings import Settings
from agent.docker.facts import ipc_mode_before_it_was_private
from agent.model.seen import EngineFacts


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The settings and facts of the host that bodies of create calls depend on."""

    region: str = ""
    """Empty: no variable and no endpoint names a region."""
    dns_suffix: str = "amazonaws.com"
    """The last part of the names of AWS's endpoints in the region's partition."""
    runtime: str = ""
    """The OCI runtime of containers that need no special one; empty leaves it to Docker."""
    nvidia_runtime: str = "nvidia"
    """The OCI runtime of containers with GPUs (``ECS_NVIDIA_RUNTIME``)."""
    inferentia: bool = False
    """``ECS_ENABLE_INF_SUPPORT``."""
    external: bool = False
    """True outside AWS (``ECS_EXTERNAL``), where GPUs are asked of Docker and not of a runtime."""
    ipc_mode: str = ""
    """What an empty ``IpcMode`` means (see ``facts.ipc_mode_before_it_was_private``); empty leaves it to Docker."""
    efs_plugin: bool = False
    """True if the volume plugin of ECS mounts EFS (``efsAuth`` in ``ECS_VOLUME_PLUGIN_CAPABILITIES``)."""
    home: str = ""
    """The agent's data directory, for the label by which a lost identity is found again."""
    matches_shared_volumes: bool = False
    """True if a shared volume must be as asked for, and not only be there (``ECS_SHARED_VOLUME_MATCH_FULL_CONFIG``)."""

    ipv6_only: bool = False
    """True where nothing is reached over IPv4."""

    @classmethod
    def of(
        cls, settings: Settings, facts: EngineFacts, region: str, dns_suffix: str, *, ipv6_only: bool = False
    ) -> Self:
        """Those of this host."""
        return cls(
            home=home_of(settings),
            region=region,
            dns_suffix=dns_suffix,
            ipv6_only=ipv6_only,
            runtime=settings.oci_runtime,
            external=settings.external,
            nvidia_runtime=settings.nvidia_runtime,
            inferentia=settings.enable_inf_support,
            ipc_mode=ipc_mode_before_it_was_private(facts.oldest_api_version),
            efs_plugin="efsAuth" in settings.volume_plugin_capabilities,
            matches_shared_volumes=settings.shared_volume_match_full_config,
        )


def home_of(settings: Settings) -> str:
    """The data directory as labels have it: absolute."""
    return str(settings.data_dir.absolute())


NOWHERE_SPECIAL = Surroundings()
"""A host outside any region, with nothing decided."""
