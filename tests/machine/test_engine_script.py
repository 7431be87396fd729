"""``packaging/engine``: leaves an engine that runs as it is, and brings up one of its own where there is none."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BARE_MACHINE = """
set -e
for place in /run /var/lib/docker /var/lib/containerd; do mkdir -p $place; mount -t tmpfs none $place; done
ip link set lo up 2>/dev/null || true
echo "-- up";    {engine} up
echo "-- again"; {engine} up
echo "-- down";  {engine} down
echo "-- left";  grep -l -x -e dockerd -e containerd /proc/[0-9]*/comm || true
"""


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """The script in a place of its own: what it knows of engines that it started is beside it."""
    script = tmp_path / "packaging" / "engine"
    script.parent.mkdir()
    shutil.copy(ROOT / "packaging" / "engine", script)
    return script


def run(*command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    everything = {**os.environ, **environ}
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=100, check=False, env=everything
    )


def test_an_engine_that_answers_is_left_as_it_is(engine: Path, docker_host: str) -> None:
    up, down = run(engine, "up", DOCKER_HOST=docker_host), run(engine, "down", DOCKER_HOST=docker_host)

    assert (up.returncode, down.returncode) == (0, 0)
    assert re.fullmatch(rf"Docker Engine \S+ answers at {docker_host}; it is left as it is.\n", up.stdout)
    assert "was not started from here" in down.stdout
    assert not (engine.parents[1] / ".dockworker").exists()


def test_an_engine_elsewhere_that_does_not_answer_is_not_replaced(engine: Path, tmp_path: Path) -> None:
    up = run(engine, "up", DOCKER_HOST=f"unix://{tmp_path}/none.sock")

    assert up.returncode == 1
    assert "Start it, or unset DOCKER_HOST" in up.stderr


def test_a_process_that_only_has_the_same_id_is_not_stopped(engine: Path, docker_host: str) -> None:
    state = engine.parents[1] / ".dockworker" / "engine"
    state.mkdir(parents=True)
    with subprocess.Popen(["sleep", "600"]) as somebody:
        for name in ("dockerd", "containerd"):
            (state / f"{name}.pid").write_text(f"{somebody.pid} 1\n")

        down = run(engine, "down", DOCKER_HOST=docker_host)

        assert "was not started from here" in down.stdout
        assert somebody.poll() is None
        somebody.kill()


def test_on_a_bare_machine_it_starts_one_and_stops_it(engine: Path) -> None:
    script = BARE_MACHINE.format(engine=engine)
    everything = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}

    ended = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=everything,
    )

    assert ended.returncode == 0, ended.stderr
    _, up, again, down, left = re.split(r"^-- \w+\n", ended.stdout, flags=re.MULTILINE)
    assert up.startswith("Starting containerd and dockerd as processes")
    assert "left as it is" in again
    assert down == "The Docker Engine that was started from here is stopped.\n"
    assert left == ""


SCRIPTS = {path.name for path in (ROOT / "packaging").iterdir() if path.is_file()} - {"Dockerfile"}


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_the_scripts_are_posix_shell_and_executable(script: str) -> None:
    path = ROOT / "packaging" / script

    assert path.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    assert os.access(path, os.X_OK)
    assert run("dash", "-n", path).returncode == 0
