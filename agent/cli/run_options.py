"""The command line of ``dockworker run``: our own options, and those of the reference agent, with one dash or two."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from agent.cli.settings_file import CONFIG
from agent.model.errors import NOT_WORTH_A_RESTART

NOT_OFFERED = {
    "ecs-attributes": "`dockworker config show` says what was set; the attributes are in the log of the registration",
    "healthcheck": "ask GET /health/ready",
    "license": "it is the Apache License 2.0",
    "windows-service": "this is for Linux",
}
"""Options of the reference agent that are not taken, and what to do instead."""


class Parser(argparse.ArgumentParser):
    """One whose mistakes are not worth a restart."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        self.print_usage(sys.stderr)
        self.exit(NOT_WORTH_A_RESTART, f"{self.prog}: error: {message}\n")


class _NotOffered(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_given: object, **_named: object) -> None:
        parser.error(f"{self.option_strings[0]} is not offered: {NOT_OFFERED[self.dest.replace('_', '-')]}")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What *arguments* ask for. Ends the process where they are wrong."""
    parser = Parser(
        prog="dockworker run",
        description="Run the agent until told to stop.",
        epilog="Settings come from ECS_*, AWS_* and DOCKWORKER_* variables and from files; variables win.",
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help=f"settings in TOML (default: {CONFIG}, if there)")
    parser.add_argument("--strict", action="store_true", help="no start with a value or a name that is wrong")
    parser.add_argument("-version", "--version", action="store_true", help="say which one, and end")
    for name, what in (
        ("", "to log"),
        ("-driver", "to log; the file may have its own"),
        ("-on-instance", "for the file"),
    ):
        option = f"-loglevel{name}"
        parser.add_argument(option, f"-{option}", metavar="LEVEL", default="", help=f"the least serious lines {what}")
    parser.add_argument("-k", dest="insecure", action="store_true", help="do not check certificates; for tests only")
    parser.add_argument(
        "-blackhole-ec2-metadata", "--blackhole-ec2-metadata", action="store_true", help="ask no instance metadata"
    )
    for name in NOT_OFFERED:
        parser.add_argument(f"-{name}", f"--{name}", action=_NotOffered, nargs=0, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def variables(given: argparse.Namespace) -> dict[str, str]:
    """The settings that *given* stands for, by their variables."""
    said = {
        "ECS_LOGLEVEL": given.loglevel or given.loglevel_driver,
        "ECS_LOGLEVEL_ON_INSTANCE": given.loglevel or given.loglevel_on_instance,
        "ECS_ACCEPT_INSECURE_CERT": "true" if given.insecure else "",
        "AWS_EC2_METADATA_DISABLED": "true" if given.blackhole_ec2_metadata else "",
    }
    return {name: value for name, value in said.items() if value}
