"""``dockworker stop``: an operator ends a task on this machine, past ECS. Asked of the agent that runs it.

Exit codes: 0 it stops, or has stopped; 1 no agent answers, or it refuses; 3 no such task; 4 more than one is meant;
75 the agent will kill it as soon as it can, and cannot yet (Docker does not answer).
"""

import argparse
import http.client
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agent.cli.agent_client import Connection, places

FAILED, UNKNOWN, AMBIGUOUS, NOT_YET = 1, 3, 4, 75
DEAD_WITHIN = 10.0
"""Seconds for which a forced stop is watched; a Docker that answers needs a fraction of one."""
BETWEEN_LOOKS = 0.05
CODES = {404: UNKNOWN, 409: AMBIGUOUS}

Answer = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; gives the exit code."""
    asked = _parser().parse_args(arguments)
    return stop(asked.task, asked.data_dir, force=asked.force)


def stop(task: str, data_dir: Path | None, *, force: bool) -> int:
    """Ask, and say what becomes of it; gives the exit code."""
    refused = []
    for place in places(data_dir, os.environ):
        try:
            return _stop(task, place, force=force)
        except (OSError, http.client.HTTPException) as error:
            refused.append(f"  {place}: {error.strerror or error if isinstance(error, OSError) else error}")
    tried = "\n".join(refused)
    sys.stderr.write(
        f"dockworker stop: no agent answers:\n{tried}\n"
        "Is it running? Its data directory (ECS_DATADIR) can be named with --data-dir; only root may ask.\n"
    )
    return FAILED


def _stop(task: str, place: Path, *, force: bool) -> int:
    status, answer = _call(place, "POST", f"/v1/tasks/{quote(task, safe=':/')}/stop", json.dumps({"force": force}))
    if status != http.HTTPStatus.OK:
        also = "".join(f"\n  {arn}" for arn in answer.get("matches", ()))
        sys.stderr.write(f"dockworker stop: {task or repr(task)}: {answer.get('error', status)}{also}\n")
        return CODES.get(status, FAILED)
    arn = str(answer["taskArn"])
    if answer["wasOver"]:
        print(f"{arn} has stopped already")
        return 0
    if not force:
        print(f"{arn} is being stopped; its containers have their grace. --force ends it at once")
        return 0
    return _watch(arn, lambda: _call(place, "GET", f"/v1/tasks/{quote(arn, safe=':/')}")[1])


def _watch(arn: str, look: Callable[[], Answer]) -> int:
    """Wait until nothing of the task runs any more."""
    end = time.monotonic() + DEAD_WITHIN
    while time.monotonic() < end:
        seen = look()
        if seen.get("known", "STOPPED") == "STOPPED":
            codes = [
                f"{one['name']} {one['exitCode']}" for one in seen.get("containers", ()) if one["exitCode"] is not None
            ]
            print(f"{arn} is dead" + (f"; exit codes: {', '.join(codes)}" if codes else ""))
            return 0
        time.sleep(BETWEEN_LOOKS)
    waits = [wait for one in seen.get("containers", ()) for wait in one["waits"]]
    sys.stderr.write(
        f"dockworker stop: {arn} is not dead after {DEAD_WITHIN:g} s; it will be killed as soon as that can be done"
        + "".join(f"\n  waits for {wait}" for wait in waits)
        + "\n"
    )
    return NOT_YET


def _call(place: Path, method: str, path: str, body: str | None = None) -> tuple[int, Answer]:
    """One request to the agent. Raises OSError and HTTPException where nobody answers."""
    connection = Connection(place)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    if response.getheader("Content-Type", "").partition(";")[0] != "application/json":
        return response.status, {"error": f"the agent takes this for no task: {response.status} {response.reason}"}
    answer: Answer = json.loads(text)
    return response.status, answer


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dockworker stop",
        description="Stop a task on this machine, past ECS: with its grace, or at once by force. Only root may.",
    )
    parser.add_argument("task", metavar="TASK", help="the task's ARN, its id, or the beginning of that")
    parser.add_argument("--force", action="store_true", help="kill it at once, whatever grace it has")
    parser.add_argument("--data-dir", metavar="DIR", type=Path, help="the agent's data directory")
    return parser
