"""The settings of this process: variables, and the file."""

from collections.abc import Mapping
from pathlib import Path

from agent.config.load import BadSettings, load
from agent.config.settings import Settings

CONFIG = Path("/etc/dockworker/config.toml")


def read_settings(environ: Mapping[str, str], config: Path | None) -> Settings:
    """The settings of *environ* and the file *config*. Raises BadSettings, also for a named file that is not there."""
    try:
        text = (config or CONFIG).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if config:
            raise BadSettings([f"{config}: there is no such file"]) from error
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings([f"{config or CONFIG}: cannot be read: {error}"]) from error
    return load(environ, text)
