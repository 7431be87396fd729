"""Devices of the host that ECS gives out one by one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gpus:
    """The GPUs that tasks may be given, and the driver that serves them."""

    ids: tuple[str, ...] = ()
    """UUIDs in the driver's own order. Of a GPU that is cut into slices (MIG) the slices', and not its own."""
    driver: str = ""
    """Version of the NVIDIA driver; empty where it is not known."""


NO_GPUS = Gpus()


@dataclass(frozen=True, slots=True)
class GpuReading:
    """What one look at the GPUs came to. A host without a driver has neither GPUs nor trouble."""

    gpus: Gpus = NO_GPUS
    source: str = ""
    """Who told of them."""
    trouble: str = ""
    """What keeps GPUs from being used that should be there."""
