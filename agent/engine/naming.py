"""Names of containers: readable first, and derived, so that a second attempt meets the first one's name."""

import hashlib
import re

from agent.model.task import TaskSpec

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9-]")


def container_name(spec: TaskSpec, container: str) -> str:
    """``ecs-<family>-<revision>-<container>-<20 hex>``; the digits derive from the task's ARN and the container's name.

    Docker's names allow what is left after the cleaning; two names that clean to the same text differ in their digits.
    """
    digits = hashlib.sha256(f"{spec.arn}\n{container}".encode()).hexdigest()[:20]
    readable = (_NOT_ALLOWED.sub("", part) for part in (spec.family, spec.version, container))
    return "-".join(("ecs", *(part for part in readable if part), digits))
