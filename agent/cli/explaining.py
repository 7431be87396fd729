"""An agent's answer about a task as lines to read, with the style of each."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from agent.cli.screen import COLORS

Line = tuple[str, str]

BAD, BOLD, DIM = "red", "bold", "dim"


def lines(task: Mapping[str, Any]) -> Iterator[Line]:
    """Everything that the agent knows: the state, each container, the times, the story."""
    yield f"{task['family']}:{task['revision']} is {_state(task)}", COLORS.get(task["known"], BOLD)
    yield f"  {task['taskArn']}", DIM
    if task["reason"]:
        yield f"  {task['reason']}", BAD
    for wait in task["waits"]:
        yield f"  waits for {wait}", "yellow"
    yield f"  {_reported(task)}", ""
    for container in task["containers"]:
        yield "", ""
        yield from _container(container)
    for resource in task["resources"]:
        yield "", ""
        yield f"{resource['kind']} {resource['name']}".rstrip() + f" is {resource['known']}", BOLD
    yield from _timeline(task["timeline"])
    yield from _story(task["story"])


def _state(one: Mapping[str, Any]) -> str:
    known, wanted = one["known"], one["wanted"]
    return str(known) if known == wanted else f"{known}, and is to be {wanted}"


def _reported(task: Mapping[str, Any]) -> str:
    waiting = task["reportsWaiting"]
    if waiting is None:
        return "what ECS has acknowledged cannot be read from the journal"
    if waiting:
        return f"{waiting} report{'s' * (waiting != 1)} to ECS not acknowledged yet; the last says {task['told']}"
    if task["told"] != "NONE":
        return f"ECS has been told {task['told']}"
    told = ", ".join(f"{one['name']} {one['told']}" for one in task["containers"] if one["told"] != "NONE")
    return f"ECS has been told {told}, and nothing of the task yet" if told else "ECS has not been told anything yet"


def _container(container: Mapping[str, Any]) -> Iterator[Line]:
    essential = "essential " if container["essential"] else ""
    code = "" if container["exitCode"] is None else f", exit code {container['exitCode']}"
    yield f"{essential}container {container['name']} is {_state(container)}{code}", BOLD
    yield f"  image       {container['image']}  {container['imageDigest']}".rstrip(), ""
    if container["runtimeId"]:
        yield f"  in Docker   {container['runtimeId'][:12]}", ""
    errors = dict.fromkeys(container[name] for name in ("reason", "pullReason", "lastFailure") if container[name])
    for error in errors:
        yield f"  error       {error}", BAD
    for wait in container["waits"]:
        yield f"  waits for   {wait}", "yellow"
    if container["health"] != "UNKNOWN" or container["healthOutput"]:
        yield f"  health      {container['health']}  {container['healthOutput']}".rstrip(), ""
    if container["restarts"]:
        yield f"  restarts    {container['restarts']}", ""
    for port in container["ports"]:
        yield f"  port        {_port(port)}", ""


def _port(port: Mapping[str, Any]) -> str:
    more = port["count"] - 1
    ends = (f"-{port['hostPort'] + more}", f"-{port['containerPort'] + more}") if more else ("", "")
    return f"{port['bindIp']}:{port['hostPort']}{ends[0]} -> {port['containerPort']}{ends[1]}/{port['protocol']}"


def _timeline(timeline: list[Mapping[str, Any]]) -> Iterator[Line]:
    yield "", ""
    yield "timeline", BOLD
    before = None
    for entry in timeline:
        at = datetime.fromisoformat(entry["at"])
        since = f"+{(at - before).total_seconds():.3f} s" if before else ""
        yield f"  {_clock(at)}  {since:>12}  {entry['what']}", ""
        before = at


def _story(story: list[Mapping[str, Any]]) -> Iterator[Line]:
    if not story:
        return
    yield "", ""
    yield "story, since this agent started", BOLD
    for entry in story:
        who = f"{entry['container']}: " if entry["container"] else ""
        yield f"  {_clock(datetime.fromisoformat(entry['at']))}  {who}{entry['line']}", DIM


def _clock(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S.%f}"[:-3]
