"""``dockworker doctor``: what on this machine is in the way of an agent, and what to do about it.

Exit codes: 0 nothing keeps the agent from its work, 1 something does. Nothing is changed; an agent may run meanwhile.
"""

import argparse
import asyncio
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import structlog

from agent.cli.settings_file import read_all
from agent.config.load import BadSettings
from agent.config.settings import Settings
from agent.doctor.checks import examine
from agent.doctor.findings import Finding, Given, Level
from agent.doctor.look_driver import look
from agent.model.errors import WORTH_A_RESTART

USUAL_AGENT = "http://127.0.0.1:51678"
MARKS = {Level.OK: "ok     ", Level.WARNING: "warning", Level.ERROR: "ERROR  "}


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; gives the exit code."""
    asked = _parser().parse_args(arguments)
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # findings say it
    given = _given(asked.config)
    os.environ.update(given.environ)
    findings = examine(asyncio.run(look(given, agent_url=asked.agent)))
    print(_as_json(findings) if asked.json else _as_text(findings))
    return WORTH_A_RESTART if any(one.level is Level.ERROR for one in findings) else 0


def _given(config: Path | None) -> Given:
    try:
        loaded = read_all(os.environ, config)
    except BadSettings as bad:
        return Given(Settings(), bad.complaints, environ=dict(os.environ))
    return Given(loaded.settings, remarks=loaded.remarks, environ={**os.environ, **loaded.environ})


def _as_text(findings: Sequence[Finding]) -> str:
    lines = []
    for one in findings:
        lines.append(f"{MARKS[one.level]} {one.check}: {one.says}")
        if one.suggestion:
            lines.append(f"          -> {one.suggestion}")
    count = Counter(one.level for one in findings)
    lines.append(f"\nErrors: {count[Level.ERROR]}, warnings: {count[Level.WARNING]}.")
    return "\n".join(lines)


def _as_json(findings: Sequence[Finding]) -> str:
    count = Counter(one.level for one in findings)
    shown = [
        {"check": one.check, "level": one.level, "says": one.says, "suggestion": one.suggestion} for one in findings
    ]
    return json.dumps({"errors": count[Level.ERROR], "warnings": count[Level.WARNING], "findings": shown}, indent=2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dockworker doctor",
        description="Look at this machine, and say what is in the way of an agent and what to do about it. "
        "Changes nothing. The exit code is 1 if there is an error.",
    )
    parser.add_argument("--json", action="store_true", help="print findings for programs")
    parser.add_argument("--config", metavar="FILE", type=Path, help="the agent's settings in TOML")
    parser.add_argument("--agent", metavar="URL", default=USUAL_AGENT, help="where another agent would answer")
    return parser
