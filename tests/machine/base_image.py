"""A base image made of this machine's own Python, for tests of the Dockerfile: nothing is pulled from anywhere.

It holds the interpreter, its library and the shared objects they need; busybox for a shell; and the locked packages as
wheels, which pip inside finds instead of an index.
"""

import io
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUSYBOX = Path("/bin/busybox")
LEFT_OUT = re.compile(
    r"/(site-packages|dist-packages|test|tests|idlelib|turtledemo|lib2to3|tkinter|config-[^/]+|__pycache__)(/|$)"
)
COMMANDS = ("sh", "rm", "mkdir", "cat", "ls", "env", "id")
LOADED_BY_WHEELS = (
    *("libdl.so.2", "librt.so.1", "libpthread.so.0", "libm.so.6", "libresolv.so.2", "libgcc_s.so.1", "libstdc++.so.6"),
)
CHANGES = (
    "ENV PATH=/usr/local/bin:/usr/bin:/bin",
    "ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels",
)


def import_base(name: str, wheels: Path) -> None:
    """Make the image *name*; the wheels are gathered in *wheels*."""
    _gather(wheels)
    image = ["docker", "import", *(word for change in CHANGES for word in ("--change", change)), "-", name]
    with subprocess.Popen(image, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as docker:
        assert docker.stdin
        with tarfile.open(fileobj=docker.stdin, mode="w|") as tar:
            _fill(tar, wheels)
    assert docker.returncode == 0


def _gather(wheels: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needed = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    where = ["--constraint", str(ROOT / "constraints.txt"), "--dest", str(wheels)]
    ended = subprocess.run([*pip, *where, *needed], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def _fill(tar: tarfile.TarFile, wheels: Path) -> None:
    for link in ("bin", "lib", "lib64"):
        _link(tar, link, f"usr/{link}")
    python = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    library = Path(sysconfig.get_path("stdlib"))
    files = [python, *_library(library), *Path("/usr/share/python-wheels").glob("*.whl")]
    objects = {shared for path in (python, *library.glob("lib-dynload/*.so")) for shared in _loads(path)}
    folder = next(path.parent for path in objects if path.name == "libc.so.6")
    objects |= {folder / name for name in LOADED_BY_WHEELS if (folder / name).exists()}
    for path in (*files, *sorted(objects)):
        tar.add(path.resolve(), _real(path), recursive=False)
    _link(tar, "usr/local/bin/python3", str(python))
    tar.add(BUSYBOX.resolve(), "usr/bin/busybox")
    for command in COMMANDS:
        _link(tar, f"usr/bin/{command}", "busybox")
    for wheel in wheels.glob("*.whl"):
        tar.add(wheel, f"wheels/{wheel.name}")
    _text(tar, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    for folder_name, mode in (("tmp", 0o1777), ("root", 0o700), ("var/lib", 0o755)):
        entry = tarfile.TarInfo(folder_name)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        tar.addfile(entry)


def _library(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not LEFT_OUT.search(str(path.relative_to(folder.parent))):
            yield path


def _loads(path: Path) -> list[Path]:
    said = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    return [Path(found) for found in re.findall(r"(/\S+) \(0x", said)]


def _real(path: Path) -> str:
    """Where *path* lies once the links of its folders are followed; the file's own name stays."""
    return os.fspath(path.parent.resolve() / path.name).lstrip("/")


def _link(tar: tarfile.TarFile, name: str, to: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, to
    tar.addfile(entry)


def _text(tar: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(text)
    tar.addfile(entry, io.BytesIO(text.encode()))
