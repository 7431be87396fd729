"""The settings of this process: variables, ``config.toml``, and the files of the reference agent.

From the weakest to the strongest: defaults, what is found on the machine, the user data of an EC2 instance (which the
daemon asks for later), the JSON file, ``/var/lib/ecs/ecs.config``, ``/etc/ecs/ecs.config``, ``config.toml``, variables,
options of the command line. Who has a ``config.toml``, or says ``--strict``, is judged strictly.
"""

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path

from agent.config import ecs_config, json_config
from agent.config.load import FOUND, BadSettings, Loaded, settle, toml_source
from agent.config.settings import Settings
from agent.config.sources import Form, Given, Source

CONFIG = Path("/etc/dockworker/config.toml")
ENVIRONMENT = "environment"
COMMAND_LINE = "command line"
JSON_PATH = "ECS_AGENT_CONFIG_FILE_PATH"
EFS_PLUGIN = "amazon-ecs-volume-plugin"
MOST_BYTES = 2**20
"""Of one file."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where files are looked for."""

    config: Path = CONFIG
    of_user: Path = Path("/etc/ecs/ecs.config")
    of_instance: Path = Path("/var/lib/ecs/ecs.config")
    plugins: tuple[Path, ...] = tuple(
        map(Path, ("/run/docker/plugins", "/etc/docker/plugins", "/usr/lib/docker/plugins"))
    )


PLACES = Places()


def read_settings(environ: Mapping[str, str], config: Path | None, *, strict: bool = False) -> Settings:
    """The settings that hold here. Raises BadSettings, also for a named file that is not there."""
    return read_all(environ, config, strict=strict).settings


def adopt_settings(environ: MutableMapping[str, str], config: Path | None, *, places: Places = PLACES) -> Settings:
    """The settings that hold here; what files say for the whole process, such as proxies and keys, goes to *environ*.

    Raises BadSettings.
    """
    loaded = read_all(environ, config, places=places)
    environ.update(loaded.environ)
    return loaded.settings


def read_all(
    environ: Mapping[str, str],
    config: Path | None,
    *,
    strict: bool = False,
    options: Mapping[str, str] | None = None,
    places: Places = PLACES,
) -> Loaded:
    """The settings that hold here, with their origins. *options* are variables that the command line has set."""
    reading = _Reading()
    toml = reading.toml(config or places.config, must_be_there=config is not None)
    instance, user = reading.ecs_config(places.of_instance), reading.ecs_config(places.of_user)
    variables = Source(ENVIRONMENT, Form.TEXT, environ)
    texts = [instance, user, *([toml] if toml else []), variables]
    document = reading.json_file(_json_path(texts))
    sources = (_found(places), document, *texts, Source(COMMAND_LINE, Form.TEXT, options or {}))
    strict = strict or toml is not None
    (reading.complaints if strict else reading.remarks).extend(reading.strays)
    try:
        loaded = settle(Given(sources, strict=strict))
    except BadSettings as bad:
        raise BadSettings([*reading.complaints, *bad.complaints]) from bad
    if reading.complaints:
        raise BadSettings(reading.complaints)
    said = {name: str(value) for source in (instance, user) for name, value in source.values.items()}
    return replace(
        loaded,
        remarks=(*reading.remarks, *loaded.remarks),
        environ=ecs_config.for_everybody(said, environ),
    )


class _Reading:
    """Reads files; owns what is wrong with them."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.remarks: list[str] = []
        self.strays: list[str] = []
        """Lines that name nothing: complaints where settings are judged strictly."""

    def toml(self, path: Path, *, must_be_there: bool) -> Source | None:
        text = self._text(path, may_be_a_pipe=must_be_there)
        if text is None:
            if must_be_there and not self.complaints:
                self.complaints.append(f"{path}: there is no such file")
            return None
        try:
            return toml_source(text, str(path))
        except BadSettings as bad:
            self.complaints += bad.complaints
            return None

    def ecs_config(self, path: Path) -> Source:
        values, remarks, strays = ecs_config.parse(self._text(path, errors="replace") or "")
        self.remarks += [f"{path}: {remark}" for remark in remarks]
        self.strays += [f"{path}: {stray}" for stray in strays]
        return Source(str(path), Form.TEXT, values, is_of_reference=True)

    def json_file(self, path: Path) -> Source:
        try:
            source, remarks = json_config.file_source(self._text(path) or "", str(path))
        except json_config.NotReadable as error:
            self.complaints.append(f"{path}: {error}")
            return Source(str(path), Form.JSON, {})
        self.remarks += [source.told(remark) for remark in remarks]
        return source

    def _text(self, path: Path, *, errors: str = "strict", may_be_a_pipe: bool = False) -> str | None:
        try:
            return _content(path, may_be_a_pipe=may_be_a_pipe).decode("utf-8", errors)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self.complaints.append(f"{path}: cannot be read: {error}")
            return None


def _content(path: Path, *, may_be_a_pipe: bool) -> bytes:
    """What stands in the file. Raises OSError, or ValueError for a path that no file can have."""
    if not may_be_a_pipe and path.is_fifo():  # nobody may ever write into it
        raise OSError("it is a pipe")
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError("it is longer than 1 MiB")
    if b"\0" in content:
        raise OSError("there are zero bytes in it")
    return content


def _json_path(sources: list[Source]) -> Path:
    """Where the JSON file is, by the strongest of *sources* that says so; whether it is a path is judged later."""
    key = {Form.TEXT: JSON_PATH, Form.TOML: f"ecs.{JSON_PATH.removeprefix('ECS_').lower()}"}
    said = [written for source in reversed(sources) if (written := source.values.get(key[source.form]))]
    return Path(str(said[0])) if said else Settings().json_config


def _found(places: Places) -> Source:
    """What a host of the reference agent is set up with, where it is: its plugin for volumes of EFS."""
    names = {f"{EFS_PLUGIN}{ending}" for ending in (".sock", ".spec", ".json")}
    is_there = any(os.path.exists(folder / name) for folder in places.plugins for name in names)  # noqa: PTH110 - who may not look sees none
    return Source(FOUND, Form.TEXT, {"ECS_VOLUME_PLUGIN_CAPABILITIES": '["efsAuth"]'} if is_there else {})
