"""Task protection: which tasks of services are not to be chosen when a service needs fewer (API: UpdateTaskProtection).

It ends by itself: what is past its time protects nothing, and nobody has to take it away.
"""

from datetime import datetime, timedelta

from agent.controlplane.records import JsonObject, PlaneTask

SERVICE = "service:"
"""How the group of a service's task begins."""
USUAL = timedelta(minutes=120)
LEAST, MOST = 1, 2880
"""Minutes."""
MISSING, NOT_VALID = "MISSING", "TASK_NOT_VALID"


def is_protected(task: PlaneTask, at: datetime) -> bool:
    """Must *task* be left alone by whoever scales its service in?"""
    return task.protected_until is not None and at < task.protected_until


def why_not(task: PlaneTask | None) -> str:
    """The reason why there is nothing to say of the protection of *task*; empty where there is."""
    if task is None:
        return MISSING
    if not task.group.startswith(SERVICE) or task.desired_status == "STOPPED" or task.stopped:
        return NOT_VALID
    return ""


def show_protection(task: PlaneTask, at: datetime) -> JsonObject:
    """A ProtectedTask. The date is absent where nothing is protected."""
    protected = is_protected(task, at)
    return {
        "taskArn": task.arn,
        "protectionEnabled": protected,
        "expirationDate": task.protected_until if protected else None,
    }
