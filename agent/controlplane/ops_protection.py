"""The actions on the protection of tasks."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from agent.controlplane.call import Call
from agent.controlplane.faults import invalid
from agent.controlplane.protection import LEAST, MOST, USUAL, show_protection, why_not
from agent.controlplane.records import JsonObject, PlaneTask

MOST_ASKED, MOST_CHANGED = 100, 10


def get_task_protection(call: Call) -> JsonObject:
    """Say which tasks are protected, and until when."""
    return _each(call, MOST_ASKED, lambda task: task)


def update_task_protection(call: Call) -> JsonObject:
    """Protect tasks from now on for so long, or no more. Each call sets the clock anew."""
    request = call.request
    minutes = request.get("expiresInMinutes")
    if minutes is not None and not LEAST <= minutes <= MOST:
        raise invalid(f"expiresInMinutes must be between {LEAST} and {MOST}")
    life = timedelta(minutes=minutes) if minutes is not None else USUAL
    until = call.at + life if request["protectionEnabled"] else None

    def change(task: PlaneTask) -> PlaneTask:
        changed = replace(task, protected_until=until)
        call.world.put(changed)
        return changed

    return _each(call, MOST_CHANGED, change)


def _each(call: Call, most: int, change: Callable[[PlaneTask], PlaneTask]) -> JsonObject:
    cluster = call.cluster_named()
    names = call.request.get("tasks", ())
    if not names:
        raise invalid("Tasks cannot be empty.")
    if len(names) > most:
        raise invalid(f"tasks must hold at most {most} entries")
    shown: list[JsonObject] = []
    failures: list[JsonObject] = []
    for arn in dict.fromkeys(call.full_arn("task", name, cluster) for name in names):
        task = call.world.tasks.get(arn)
        reason = why_not(task)
        if task is None or reason:
            failures.append({"arn": arn, "reason": reason})
        else:
            shown.append(show_protection(change(task), call.at))
    return {"protectedTasks": shown, "failures": failures}
