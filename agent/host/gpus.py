"""What answers about GPUs mean: which ones tasks may have, and what is wrong.

A host without a driver is a host without GPUs, and nothing is wrong with it. A driver that shows none is worth a word.
What fails to answer says nothing, so that what was known before still holds.
"""

import json
from dataclasses import dataclass, replace
from enum import StrEnum

from agent.model.devices import NO_GPUS, GpuReading, Gpus
from agent.model.errors import BadInput

NVML, HANDED_OVER = "NVML", "nvidia-gpu-info.json"
LIBRARY = "libnvidia-ml.so.1"


class Lack(StrEnum):
    """What is not there on a host that has no GPUs to offer."""

    NOTHING = ""
    LIBRARY = "library"
    DRIVER = "driver"


@dataclass(frozen=True, slots=True)
class Answer:
    """What NVML says, or why it says nothing."""

    gpus: Gpus = NO_GPUS
    faults: tuple[str, ...] = ()
    """Devices that it counts and that nobody can use, and why."""
    error: str = ""
    lack: Lack = Lack.NOTHING


@dataclass(frozen=True, slots=True)
class Signs:
    """What else the host shows: `handed_over` is the text that ecs-init left, None where there is none."""

    has_driver: bool = False
    """Does the kernel show a driver?"""
    handed_over: str | None = None


NO_SIGNS = Signs()


def judge(answer: Answer, signs: Signs, before: GpuReading) -> GpuReading:
    """What is known after *answer*; *before* is what was known until then.

    The list that ecs-init writes is from the last time that it ran, so it only counts where NVML cannot be asked.
    """
    if answer.lack is Lack.LIBRARY:
        return _without_the_library(signs)
    if answer.lack is Lack.DRIVER:
        return GpuReading()
    if answer.error:
        return replace(before, trouble=f"NVML fails: {answer.error}")
    faults = "; ".join(answer.faults)
    if not answer.gpus.ids:
        text = f"the NVIDIA driver {answer.gpus.driver} works, but shows no GPU that a task could have"
        return GpuReading(answer.gpus, NVML, f"{text}: {faults}" if faults else text)
    return GpuReading(answer.gpus, NVML, faults)


def silent(before: GpuReading, seconds: float) -> GpuReading:
    """What is known when NVML does not answer at all."""
    return replace(before, trouble=f"NVML does not answer within {seconds:g} s")


def handed_over(text: str) -> Gpus:
    """The GPUs of the file that ecs-init writes before it starts an agent. Raises BadInput."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadInput(HANDED_OVER, f"is not JSON: {error}") from error
    named = {key.lower(): value for key, value in found.items()} if isinstance(found, dict) else {}
    ids, driver = named.get("gpuids") or (), named.get("driverversion") or ""
    if not named or not isinstance(driver, str) or not isinstance(ids, list | tuple):
        raise BadInput(HANDED_OVER, "must be an object with DriverVersion and GPUIDs")
    if not all(isinstance(one, str) and one for one in ids):
        raise BadInput(f"{HANDED_OVER}: GPUIDs", "must be a list of names")
    return Gpus(tuple(ids), driver)


def _without_the_library(signs: Signs) -> GpuReading:
    if signs.handed_over is not None:
        try:
            gpus = handed_over(signs.handed_over)
        except BadInput as error:
            return GpuReading(trouble=str(error))
        if gpus.ids:
            return GpuReading(gpus, HANDED_OVER)
    if signs.has_driver:
        return GpuReading(trouble=f"an NVIDIA driver is loaded, but {LIBRARY} is not there to ask it")
    return GpuReading()
