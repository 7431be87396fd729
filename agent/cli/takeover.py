"""``dockworker takeover``: the tasks of another agent on this machine become this one's, and run on."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.cli.settings_file import read_settings
from agent.config.load import BadSettings
from agent.model.errors import NOT_WORTH_A_RESTART
from agent.takeover.move_driver import Wish, take_over

USUAL_AGENT = "http://127.0.0.1:51678"


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; gives the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        settings = read_settings(os.environ, asked.config)
    except BadSettings as bad:
        listed = "".join(f"\n  {complaint}" for complaint in bad.complaints)
        sys.stderr.write(f"dockworker takeover: these settings cannot be used:{listed}\n")
        return NOT_WORTH_A_RESTART
    wish = Wish(asked.agent, stop_pending=asked.stop_pending, follow=asked.follow)
    return asyncio.run(take_over(settings, wish, lambda text: print(text, flush=True)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dockworker takeover",
        description="Take over the container instance and the tasks of the ECS agent that runs on this machine. "
        "Writes down what is there, and says how to stop that agent; stops nothing itself.",
    )
    parser.add_argument("--agent", metavar="URL", default=USUAL_AGENT, help="where that agent answers (%(default)s)")
    parser.add_argument("--config", metavar="FILE", type=Path, help="the agent's settings in TOML")
    parser.add_argument("--follow", action="store_true", help="stay until that agent has gone, and note what changes")
    parser.add_argument("--stop-pending", action="store_true", help="have tasks stopped that do not run yet")
    return parser
