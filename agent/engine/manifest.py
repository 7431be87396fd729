"""ECS's list of the tasks that it wants to run here, and what becomes of those that are not on it.

A task that runs here and is not on the list may be one that ECS has given up, or one that it will name in a moment. So
nothing is stopped for not being on a list: ECS is asked once about each, and stops what it names in its answer. The
answer to an older list, or a second answer, says nothing.
"""

from dataclasses import replace

from agent.engine.draft import Draft
from agent.engine.world import World
from agent.model.decision import ManifestTaken
from agent.model.events import ManifestHeard, StopsVerified
from agent.model.names import TaskArn
from agent.model.status import Status


def hear(draft: Draft, event: ManifestHeard) -> set[TaskArn]:
    """Take a list that is newer than every one before it, and say which tasks it does not have."""
    if event.number > draft.world.manifest:
        unlisted = (t.arn for t in draft.tasks() if t.wanted is not Status.STOPPED and t.arn not in event.running)
        draft.take_manifest(ManifestTaken(event.message_id, event.number, tuple(unlisted)))
    return set()


def verified(draft: Draft, event: StopsVerified) -> set[TaskArn]:
    """Stop what ECS has looked at again and does not want; gives those tasks. What is unknown here stays unknown."""
    if not event.message_id or event.message_id != draft.world.verifiable:
        return set()
    draft.afterwards(_answered)
    stopped = set()
    for arn in event.tasks:
        task = draft.task(arn)
        if task is not None and task.wanted is not Status.STOPPED:
            draft.put(replace(task, wanted=Status.STOPPED))
            stopped.add(arn)
    return stopped


def _answered(world: World) -> None:
    world.verifiable = ""
