"""``dockworker config``: what is wrong with the settings of this machine, and what they come to.

Nothing is asked of Docker, of ECS or of instance metadata, so an answer takes a fraction of a second.
"""

import argparse
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.cli.run_options import Parser
from agent.cli.settings_file import CONFIG, PLACES, Places, read_all
from agent.config.load import BadSettings, Loaded
from agent.config.names import why
from agent.config.reference import SETTINGS, Setting
from agent.config.settings import Settings
from agent.config.written import hidden, setting_text
from agent.model.errors import NOT_WORTH_A_RESTART

DEFAULT = "default"
HIDDEN = "(hidden)"
NOBODY_READS = 141
"""What a shell says of a program that SIGPIPE has ended."""


def main(arguments: Sequence[str], places: Places = PLACES) -> int:
    """Check, or show; gives the exit code."""
    given = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a variable may hold bytes that are no text
    try:
        if given.command == "check":
            code = check(given.config, places, strict=given.strict)
        else:
            code = show(given.config, places, as_json=given.json)
        sys.stdout.flush()
    except BrokenPipeError:  # a pager that was left, or `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
    return code


def check(config: Path | None, places: Places, *, strict: bool) -> int:
    """Say what is wrong, judged strictly; with *strict*, what is only odd is wrong too. Gives the exit code."""
    try:
        loaded = read_all(os.environ, config, strict=True, places=places)
    except BadSettings as bad:
        sys.stderr.write("The settings are wrong:\n")
        sys.stderr.writelines(f"  {complaint}\n" for complaint in bad.complaints)
        if starts := _remarks_if_open(config, places):
            sys.stderr.write("The agent starts all the same, as Amazon's does, and goes on so:\n")
            sys.stderr.writelines(f"  {remark}\n" for remark in starts)
        return NOT_WORTH_A_RESTART
    odd = [*loaded.remarks, *_not_honoured(loaded)]
    sys.stderr.writelines(f"  {remark}\n" for remark in odd)
    if strict and odd:
        return NOT_WORTH_A_RESTART
    print(f"The settings are fine; {len(loaded.origins)} of {len(SETTINGS)} are not the default.")
    return 0


def show(config: Path | None, places: Places, *, as_json: bool) -> int:
    """Print every setting, where it comes from and what it means; gives the exit code."""
    try:
        loaded = read_all(os.environ, config, places=places)
    except BadSettings as bad:
        sys.stderr.write("The settings cannot be used:\n")
        sys.stderr.writelines(f"  {complaint}\n" for complaint in bad.complaints)
        return NOT_WORTH_A_RESTART
    rows = [_row(setting, loaded) for setting in SETTINGS]
    if as_json:
        about = {"remarks": loaded.remarks, "not_honoured": {one: why(one) for one in loaded.settings.not_honoured}}
        print(json.dumps({"settings": rows, **about, "passed_on": sorted(loaded.environ)}, indent=2))
        return 0
    for row in rows:
        print(f"{row['key']} = {row['value']}\n    {row['means']}\n    {row['variable']}; {row['from']}")
    for line in _afterwards(loaded):
        print(line)
    return 0


def _row(setting: Setting, loaded: Loaded) -> dict[str, Any]:
    value = getattr(loaded.settings, setting.field)
    origin = loaded.origins.get(setting.field)
    source = f"{origin.source} ({origin.name})" if origin else DEFAULT
    is_secret = setting.secret and value != getattr(Settings(), setting.field)
    return {
        "key": setting.keys[0],
        "variable": setting.variables[0],
        "value": HIDDEN if is_secret else hidden(setting_text(setting, value)),
        "from": source,
        "means": setting.says,
    }


def _afterwards(loaded: Loaded) -> Iterator[str]:
    if loaded.environ:
        yield f"\nFrom ecs.config for the whole process: {', '.join(sorted(loaded.environ))}"
    odd = [*loaded.remarks, *_not_honoured(loaded)]
    if odd:
        yield "\nTo be looked at:"
    yield from (f"  {remark}" for remark in odd)
    yield "\nThe user data of an EC2 instance is read when the agent starts, and is not shown here."


def _not_honoured(loaded: Loaded) -> list[str]:
    return [f"{name}: {why(name)}" for name in loaded.settings.not_honoured]


def _remarks_if_open(config: Path | None, places: Places) -> tuple[str, ...]:
    """How `run` would go on, where it would."""
    try:
        return read_all(os.environ, config, places=places).remarks
    except BadSettings:
        return ()


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="dockworker config", description="Check or show the settings of the agent on this machine.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="check|show")
    checking = commands.add_parser("check", help="say what is wrong with them; 5 if anything is, else 0")
    checking.add_argument("--strict", action="store_true", help="what is odd, or has no effect, is wrong too")
    showing = commands.add_parser("show", help="print every setting, where it comes from and what it means")
    showing.add_argument("--json", action="store_true", help="for programs")
    for one in (checking, showing):
        one.add_argument("--config", metavar="FILE", type=Path, help=f"settings in TOML (default: {CONFIG}, if there)")
    return parser
