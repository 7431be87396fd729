"""Where ``dockworker dev`` keeps things: one directory, used by one process at a time."""

import fcntl
import os
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from agent.cli.listen import Address
from agent.controlplane.keys_driver import KeyPair, KeyPairs, env_file_text, load_or_make

OWNER_ONLY = 0o600
OWNER_ONLY_DIRECTORY = 0o700


class Taken(Exception):
    """Another process uses the directory, or the port."""


@dataclass(frozen=True, slots=True)
class Place:
    """A directory, and the address and world of the control plane in it."""

    data: Path
    listen: Address
    region: str
    account: str

    UNWANTED = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
    """Variables that would lead the agent to other keys than those of this control plane."""

    @property
    def endpoint(self) -> str:
        """The URL of the ECS API."""
        return f"http://{self.listen}"

    @property
    def log(self) -> Path:
        """What the agent and the control plane say."""
        return self.data / "dockworker.log"

    @property
    def env_file(self) -> Path:
        """What a shell sources to talk to the control plane."""
        return self.data / "env"

    @property
    def plane_data(self) -> Path:
        """The control plane's own directory."""
        return self.data / "controlplane"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the directory. Raises Taken if somebody else does."""
        self.data.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_DIRECTORY)
        with open(self.data / "lock", "a+", encoding="utf-8", opener=_owner_only) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                raise Taken(f"dockworker dev runs already in {self.data} (process {lock.read().strip()}).") from error
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def prepare(self) -> None:
        """Make the directories, the keys and the env file. Raises Taken for a port that is in use, OSError."""
        for directory in (self.plane_data, self.data / "agent"):
            directory.mkdir(exist_ok=True, mode=OWNER_ONLY_DIRECTORY)
        with socket.socket(self.listen.family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.listen.host, self.listen.port))
            except OSError as error:
                raise Taken(
                    f"{self.listen} is not free for the control plane ({error.strerror}); give another with --listen."
                ) from error
        text = env_file_text(self.keys().operator, self.region, self.endpoint)
        with open(self.env_file, "w", encoding="utf-8", opener=_owner_only) as file:
            file.write(text)

    def keys(self) -> KeyPairs:
        """The control plane's two key pairs."""
        return load_or_make(self.plane_data)

    def agent_variables(self) -> dict[str, str]:
        """What the agent finds its keys by."""
        pair: KeyPair = self.keys().agent
        return {"AWS_ACCESS_KEY_ID": pair.access_key_id, "AWS_SECRET_ACCESS_KEY": pair.secret_access_key}

    @contextmanager
    def log_file(self) -> Iterator[TextIO]:
        """A fresh log; the one before it is kept beside it."""
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.before"))
        with open(self.log, "w", encoding="utf-8", buffering=1, opener=_owner_only) as file:
            yield file

    def to_copy(self, command: str) -> str:
        """*command* of the AWS CLI as it works in any other terminal."""
        beside_us = Path(sys.executable).with_name("aws")
        aws = str(beside_us) if beside_us.exists() else (shutil.which("aws") or "aws")
        return f". {shlex.quote(str(self.env_file))} && {shlex.quote(aws)} {command}"


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, OWNER_ONLY)
