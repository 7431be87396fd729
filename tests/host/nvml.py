"""A driver that can be put on this machine, taken away, and told which GPUs it shows."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("nvml_stub.c")
LIBRARY = "libnvidia-ml.so.1"


@dataclass(frozen=True)
class Nvidia:
    """A folder for NVIDIA's library, and the file that steers it. `environ` is for the process that is to find it."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": str(self.folder), "NVML_STUB": str(self._state)}

    def install(self) -> None:
        """Put the library there."""
        made = self.folder / LIBRARY
        words = ["gcc", "-shared", "-fPIC", "-Wall", "-Werror", f"-Wl,-soname,{LIBRARY}", "-o", str(made), str(SOURCE)]
        subprocess.run(words, check=True, timeout=60)

    def show(self, *lines: str) -> None:
        """Load a driver that shows this; see the source of the stub."""
        new = self._state.with_suffix(".new")
        new.write_text("".join(f"{line}\n" for line in lines), errors="surrogateescape")
        new.replace(self._state)

    def unload(self) -> None:
        """Take the driver out of the kernel; the library stays."""
        self._state.unlink()

    @property
    def _state(self) -> Path:
        return self.folder / "state"
