"""``dockworker redirect``: makes, checks or removes the firewall rules by which 169.254.170.2 leads to the agent.

Exit codes: 0 done, or all is there; 1 something is missing, or did not work; 5 the settings cannot be used.
"""

import argparse
import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from agent.cli.settings_file import read_settings
from agent.config.load import BadSettings
from agent.config.settings import Settings
from agent.host.redirect_driver import RedirectDriver
from agent.model.errors import NOT_WORTH_A_RESTART, WORTH_A_RESTART, TryAgain


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; gives the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        settings = read_settings(os.environ, asked.config)
    except BadSettings as bad:
        print("dockworker redirect: these settings cannot be used:", *bad.complaints, sep="\n  ")
        return NOT_WORTH_A_RESTART
    if settings.task_address == "off":
        print("Containers are answered nowhere (DOCKWORKER_TASK_ADDRESS is off): there is nothing to lead them to.")
        return 0
    try:
        return asyncio.run(_do(asked.what, settings))
    except TryAgain as error:
        print(f"That did not work: {error}.")
        return WORTH_A_RESTART


async def _do(what: str, settings: Settings) -> int:
    """Do it. Raises TryAgain."""
    redirect, where = RedirectDriver.of(settings), settings.task_address
    match what:
        case "make":
            await redirect.make()
            print(f"169.254.170.2 leads to {where}.")
        case "remove":
            await redirect.remove()
            print(f"Nothing of ours leads 169.254.170.2 to {where} any more.")
        case _:
            lacks = await redirect.lacks()
            for one in lacks or (f"169.254.170.2 leads to {where}",):
                print(f"{one[:1].upper()}{one[1:]}.")
            return WORTH_A_RESTART if lacks else 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dockworker redirect",
        description="Make, check or remove the firewall rules by which 169.254.170.2, where containers ask for "
        "metadata and credentials, leads to the agent. An agent that runs makes them by itself, and again where they "
        "are missing, unless DOCKWORKER_TASK_REDIRECT is false.",
    )
    parser.add_argument("what", choices=("make", "check", "remove"))
    parser.add_argument("--config", metavar="FILE", type=Path, help="the agent's settings in TOML")
    return parser
