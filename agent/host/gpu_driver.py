"""Asks NVIDIA's driver for GPUs, by NVML.

NVML is opened for each look and closed after it: whoever keeps it open keeps the driver from being replaced and GPUs
from being cut anew. Its calls can take seconds, and with a broken GPU for ever, so they have a thread that nobody waits
for when the agent ends.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from agent.host.gpus import Answer, Lack, Signs, judge, silent
from agent.model.devices import GpuReading, Gpus

WITHIN = 8.0
"""Seconds for one look. What takes longer goes on by itself, and the next look hears of it."""
INFO = Path("/var/lib/ecs/gpu/nvidia-gpu-info.json")
"""Where ecs-init leaves what it has found."""
KERNELS = Path("/proc/driver/nvidia/version")
"""Says which driver is loaded."""
_MIG_ON = 1


class GpuDriver:
    """What is known of this host's GPUs. `reading` is what the last look came to."""

    def __init__(
        self, ask: Callable[[], tuple[Answer, Signs]] | None = None, *, lack: str = "", within: float = WITHIN
    ) -> None:
        """*lack* is what keeps Docker from using GPUs, if there are any."""
        self.reading = GpuReading()
        self._ask = ask or (lambda: (read_nvml(), read_signs()))
        self._lack = lack
        self._within = within
        self._asked: Future[tuple[Answer, Signs]] | None = None
        self._known = self.reading

    async def look(self) -> GpuReading:
        """Look again; one that does not come to an end is not begun twice."""
        if self._asked is None:
            self._asked = _in_a_thread(self._ask)
        try:
            async with asyncio.timeout(self._within):
                answer, signs = await asyncio.wrap_future(self._asked)
        except TimeoutError:
            self._known = silent(self._known, self._within)
        else:
            self._asked = None
            self._known = judge(answer, signs, self._known)
        self.reading = self._with_lack(self._known)
        return self.reading

    def _with_lack(self, known: GpuReading) -> GpuReading:
        if not known.gpus.ids or not self._lack:
            return known
        return replace(known, trouble="; ".join(part for part in (known.trouble, self._lack) if part))


def read_nvml() -> Answer:
    """Ask NVML. Blocks."""
    import pynvml  # noqa: PLC0415 -- 8,000 lines that most hosts never need

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        return Answer(lack=Lack.LIBRARY)
    except pynvml.NVMLError_DriverNotLoaded:
        return Answer(lack=Lack.DRIVER)
    except pynvml.NVMLError as error:
        return Answer(error=str(error))
    try:
        return _devices(pynvml)
    except pynvml.NVMLError as error:
        return Answer(error=str(error))
    finally:
        with suppress(pynvml.NVMLError):  # what was asked is answered
            pynvml.nvmlShutdown()


def read_signs(info: Path = INFO, kernels: Path = KERNELS) -> Signs:
    """Look for what tells of GPUs where NVML is not there. What cannot be read is not there."""
    try:
        text = info.read_text()
    except (OSError, ValueError):
        text = None
    return Signs(kernels.exists(), text)


def _devices(nvml: ModuleType) -> Answer:
    ids, faults = list[str](), list[str]()
    try:
        driver = str(nvml.nvmlSystemGetDriverVersion())
    except UnicodeDecodeError:
        return Answer(error="NVML gives the driver a version that is no text")
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            found = list(_slices(nvml, handle)) if _is_cut(nvml, handle) else [str(nvml.nvmlDeviceGetUUID(handle))]
        except nvml.NVMLError as error:
            faults.append(f"GPU {index} cannot be used: {error}")
            continue
        except UnicodeDecodeError:
            faults.append(f"GPU {index} cannot be used: NVML gives it a name that is no text")
            continue
        if not found:
            faults.append(f"GPU {index} is to be cut into slices (MIG), and there are none")
        ids += found
    return Answer(Gpus(tuple(ids), driver), tuple(faults))


def _is_cut(nvml: ModuleType, handle: object) -> bool:
    """Is MIG on now? Most GPUs, and older drivers, do not know it."""
    try:
        current, _after_a_reset = nvml.nvmlDeviceGetMigMode(handle)
    except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
        return False
    return bool(current == _MIG_ON)


def _slices(nvml: ModuleType, handle: object) -> Iterator[str]:
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            slice_handle = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
        except nvml.NVMLError_NotFound:
            continue  # a place where no slice was made
        yield str(nvml.nvmlDeviceGetUUID(slice_handle))


def _in_a_thread(ask: Callable[[], tuple[Answer, Signs]]) -> Future[tuple[Answer, Signs]]:
    found: Future[tuple[Answer, Signs]] = Future()
    found.set_running_or_notify_cancel()  # a job that stops waiting leaves it as it is

    def run() -> None:
        try:
            answer = ask()
        except BaseException as error:  # noqa: BLE001 -- raised where it is waited for
            found.set_exception(error)
        else:
            found.set_result(answer)

    threading.Thread(target=run, name="nvml", daemon=True).start()
    return found
