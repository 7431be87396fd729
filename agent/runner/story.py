"""One line in the log for each decision that changed something."""

from traceback import format_tb

import structlog

from agent.model.acts import Act, CancelPull, ContainerAct, PullImage, ResourceAct
from agent.model.decision import Decision, Moved
from agent.model.errors import place_of
from agent.model.events import Event
from agent.model.names import TaskArn, task_id

log = structlog.get_logger()


def short(arn: TaskArn) -> str:
    """The first eight digits of a task's id: enough to find it in a log."""
    return task_id(arn)[:8]


def tell(event: Event, decision: Decision) -> None:
    """Write what *event* came to, if it came to anything."""
    if not (decision.moves or decision.acts):
        return
    log.info(
        "decided",
        heard=type(event).__name__,
        cause=event.cause,
        moves=[_move(move) for move in decision.moves],
        acts=[of_act(act) for act in decision.acts],
    )


def of_bug(bug: BaseException) -> dict[str, str]:
    """What the log says of a bug: where it was met, and on which way through our own lines; no values."""
    return {"bug": place_of(bug), "trace": "".join(format_tb(bug.__traceback__))}


def _move(move: Moved) -> str:
    who = f"{short(move.task)}/{move.container}" if move.container else short(move.task)
    went = f"{who} {move.before.name}->{move.now.name}"
    return f"{went} ({move.reason})" if move.reason else went


def of_act(act: Act) -> str:
    """An act in a few words."""
    match act:
        case ContainerAct():
            return f"{type(act).__name__} {short(act.task)}/{act.container}"
        case ResourceAct():
            return " ".join(one for one in (type(act).__name__, short(act.task), act.resource) if one)
        case PullImage() | CancelPull():
            return f"{type(act).__name__} {act.source.image}"
        case _:
            return type(act).__name__
