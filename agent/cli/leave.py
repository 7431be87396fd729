"""``dockworker leave``: this machine leaves its cluster, and nothing of it stays behind."""

import asyncio
import os
from pathlib import Path

from agent import departure
from agent.cli.screen import Screen
from agent.cli.settings_file import adopt_settings
from agent.config.load import BadSettings
from agent.model.errors import NOT_WORTH_A_RESTART


def main(config: Path | None, *, force: bool) -> int:
    """Leave; gives the exit code."""
    screen = Screen()
    try:
        settings = adopt_settings(os.environ, config)
    except BadSettings as bad:
        screen.say("These settings cannot be used:", "red")
        for complaint in bad.complaints:
            screen.say(f"  {complaint}")
        return NOT_WORTH_A_RESTART
    return asyncio.run(departure.leave(settings, force=force, say=screen.say))
