"""``dockworker explain TASK``: what a task waits for, or why it ended, asked of the agent that runs it."""

import http.client
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agent.cli.agent_client import Connection, places
from agent.cli.explaining import lines
from agent.cli.screen import Screen

FAILED = 1

Answer = dict[str, Any]


class NoAnswer(Exception):
    """Nobody answers, or not with a task. Says what to do."""


def main(task: str, data_dir: Path | None, *, as_json: bool) -> int:
    """Ask, and print; gives the exit code."""
    try:
        answer = ask(task, places(data_dir, os.environ))
    except NoAnswer as error:
        sys.stderr.write(f"dockworker explain: {error}\n")
        return FAILED
    if as_json:
        print(json.dumps(answer, indent=2))
        return 0
    screen = Screen()
    for text, style in lines(answer):
        screen.say(text, style)
    return 0


def ask(task: str, sockets: list[Path]) -> Answer:
    """The answer of the first agent that listens. Raises NoAnswer."""
    refused = []
    for place in sockets:
        try:
            return _ask(task, place)
        except (OSError, http.client.HTTPException) as error:
            refused.append(f"  {place}: {error.strerror or error if isinstance(error, OSError) else error}")
    tried = "\n".join(refused)
    raise NoAnswer(
        f"no agent answers:\n{tried}\n"
        "Is it running? Its data directory (ECS_DATADIR) can be named with --data-dir; only its owner may ask."
    )


def _ask(task: str, place: Path) -> Answer:
    connection = Connection(place)
    try:
        connection.request("GET", f"/v1/tasks/{quote(task, safe=':/')}")
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.getheader("Content-Type", "").partition(";")[0] != "application/json":
        raise NoAnswer(f"{task!r}: the agent takes this for no task: {response.status} {response.reason}")
    answer: Answer = json.loads(body)
    if response.status != http.HTTPStatus.OK:
        also = "".join(f"\n  {arn}" for arn in answer.get("matches", ()))
        raise NoAnswer(f"{task}: {answer.get('error', response.reason)}{also}")
    return answer
