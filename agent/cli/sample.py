"""The sample task of ``dockworker dev``: what its image holds and what it does."""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

IMAGE = "dockworker.invalid/sample:1"
"""The name can be pulled from nowhere: what runs is what was built here."""

BUSYBOX = Path("/bin/busybox")
LINKS = ("sh", "echo", "sleep", "date", "cat", "ls", "ps", "env", "hostname", "wget", "httpd", "nc", "true", "false")

DOCKERFILE = b"""\
FROM scratch
ADD rootfs.tar /
ENV PATH=/bin
CMD ["sh"]
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """A family and the shell script that its container runs."""

    family: str
    script: str

    def definition(self) -> dict[str, object]:
        """The RegisterTaskDefinition request."""
        container = {
            "name": "sample",
            "image": IMAGE,
            "essential": True,
            "cpu": 64,
            "memory": 32,
            "command": ["sh", "-c", self.script],
        }
        return {"family": self.family, "networkMode": "bridge", "containerDefinitions": [container]}


STAYS = Sample(
    "sample",
    'trap "echo told to stop; exit 0" TERM; n=0; '
    'while true; do n=$((n + 1)); echo "line $n from the sample task"; sleep 5 & wait $!; done',
)
"""Runs until it is stopped, and stops at once when told to."""

ENDS = Sample(
    "sample-demo",
    'trap "exit 143" TERM; for n in 1 2 3 4 5; do echo "line $n of 5 from the sample task"; sleep 1 & wait $!; done; '
    'echo "all done"',
)
"""Prints five lines in five seconds and exits 0."""


def build_context(busybox: bytes) -> bytes:
    """The tar that Docker builds the image from: *busybox*, under all the names that a sample may need."""
    rootfs = io.BytesIO()
    with tarfile.open(fileobj=rootfs, mode="w") as tar:
        _add(tar, "bin/busybox", busybox, mode=0o755)
        for name in LINKS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        scratch = tarfile.TarInfo("tmp")
        scratch.type, scratch.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(scratch)
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        _add(tar, "Dockerfile", DOCKERFILE)
        _add(tar, "rootfs.tar", rootfs.getvalue())
    return context.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
