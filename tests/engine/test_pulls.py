"""What the behaviours make of a pull that fails, and what ECS hears of digests."""

from dataclasses import replace

import pytest

from agent.model.acts import CancelPull, CreateContainer, PullImage
from agent.model.decision import Decision
from agent.model.events import ActFailed, Fault, ImagePulled, ImageResolved
from agent.model.names import Image
from agent.model.reports import TaskReport
from agent.model.status import PullBehavior, Status
from agent.model.task import ContainerSpec, ImageSource
from tests.engine.rows import ARN, OTHER, RULES, T0, Play, spec

REASON = "CannotPullContainerError: manifest unknown"
DIGEST = "sha256:" + "a" * 64
APP = ImageSource(Image("app:1"))
MAIN = ContainerSpec("app", Image("app:1"), essential=True)


def resolve(play: Play, digest: str = DIGEST, image: str = "app:1") -> Decision:
    return play.hear(ImageResolved(ImageSource(Image(image)), digest, T0))


def pending(decision: Decision) -> list[tuple[str, str]]:
    return [
        (part.name, part.image_digest)
        for report in decision.reports
        for part in report.containers
        if part.status.told == "PENDING"
    ]


@pytest.mark.parametrize("behavior", [PullBehavior.ALWAYS, PullBehavior.ONCE])
def test_a_pull_that_is_needed_stops_the_task_though_its_container_is_not_essential(behavior: PullBehavior) -> None:
    play = Play(rules=replace(RULES, pull_behavior=behavior))
    play.assign(spec(ARN, MAIN, ContainerSpec("side", Image("side:1"))))
    play.pulled()
    decision = play.fail(PullImage, Fault.GIVE_UP, REASON)
    side = play.task["side"]
    assert (side.known, side.reason) == (Status.STOPPED, REASON)
    assert play.task.wanted is Status.STOPPED
    assert decision.reports[-1].reason == ""  # the reason is the container's


@pytest.mark.parametrize("behavior", [PullBehavior.DEFAULT, PullBehavior.ALWAYS])
def test_a_pull_is_never_given_up_because_docker_did_not_answer(behavior: PullBehavior) -> None:
    play = Play(rules=replace(RULES, pull_behavior=behavior))
    play.assign()
    for _ in range(20):
        assert play.fail(PullImage, Fault.UNKNOWN, "Docker did not answer").acts == ()
        assert [type(act) for act in play.wake().acts] == [PullImage]
    assert play.app.known is Status.NONE


@pytest.mark.parametrize("behavior", [PullBehavior.DEFAULT, PullBehavior.PREFER_CACHED])
@pytest.mark.parametrize(
    "refusal",
    [
        "CannotCreateContainerError: No such image: app:1",
        "CannotCreateContainerError: invalid reference format: repository name must be lowercase",
    ],
)
def test_a_pull_that_is_not_needed_matters_when_there_is_no_image(behavior: PullBehavior, refusal: str) -> None:
    play = Play(rules=replace(RULES, pull_behavior=behavior))
    play.assign()
    decision = play.fail(PullImage, Fault.GIVE_UP, REASON)
    assert [type(act) for act in decision.acts] == [CreateContainer]
    (report,) = play.fail(CreateContainer, Fault.GIVE_UP, refusal).reports
    assert (report.status, report.containers[0].reason) == (Status.STOPPED, REASON)


def test_a_name_that_can_never_be_valid_is_asked_for_once() -> None:
    play = Play(rules=replace(RULES, pull_behavior=PullBehavior.ALWAYS))
    play.assign()
    decision = play.fail(PullImage, Fault.GIVE_UP, "CannotPullContainerError: invalid reference format")
    assert decision.acts == ()
    assert play.task.known is Status.STOPPED


def test_a_registry_that_is_busy_is_asked_five_times() -> None:
    play = Play(rules=replace(RULES, pull_behavior=PullBehavior.ALWAYS))
    play.assign()
    for _ in range(4):
        play.fail(PullImage, Fault.TRY_AGAIN, REASON)
        assert [type(act) for act in play.wake().acts] == [PullImage]
    play.fail(PullImage, Fault.TRY_AGAIN, REASON)
    assert (play.task.known, play.app.reason) == (Status.STOPPED, REASON)


def test_a_digest_is_told_while_the_pull_goes_on_of_all_who_wait_and_once() -> None:
    play = Play()
    play.assign(spec(ARN, MAIN, ContainerSpec("side", Image("app:1"))))
    play.assign(spec(OTHER))
    decision = resolve(play)
    assert pending(decision) == [("app", DIGEST), ("side", DIGEST), ("app", DIGEST)]
    assert [(report.task, report.status.told, report.moved) for report in decision.reports] == [
        (ARN, "PENDING", False),
        (OTHER, "PENDING", False),
    ]
    assert resolve(play).changes_nothing
    pulled = play.hear(ImagePulled(APP, T0, DIGEST))
    assert pending(pulled) == []


def test_a_digest_that_only_the_pull_itself_tells_is_told_too() -> None:
    play = Play()
    play.assign()
    assert pending(play.hear(ImagePulled(APP, T0, DIGEST))) == [("app", DIGEST)]


def test_a_reference_with_a_digest_is_not_told_of_before_it_runs_and_carries_its_digest_then() -> None:
    image = f"app@{DIGEST}"
    play = Play()
    play.assign(spec(ARN, replace(MAIN, image=Image(image))))
    assert resolve(play, image=image).reports == ()
    play.pulled(image)
    play.created()
    reports: tuple[TaskReport, ...] = play.started().reports
    assert [part.image_digest for part in reports[0].containers] == [DIGEST]


def test_no_digest_is_told_of_a_container_that_is_not_to_run_any_more() -> None:
    play = Play()
    play.assign()
    assert CancelPull in [type(act) for act in play.stop().acts]
    assert resolve(play).changes_nothing


def test_a_digest_that_was_told_is_not_told_again_after_a_restart() -> None:
    play = Play()
    play.assign()
    resolve(play)
    again = Play(play.task)
    assert resolve(again).reports == ()


def test_a_pull_that_fails_for_nobody_is_nothing() -> None:
    assert Play().hear(ActFailed(PullImage(APP), Fault.GIVE_UP, REASON, T0)).changes_nothing


def test_an_image_that_is_removed_before_its_container_is_made_is_fetched_once_more() -> None:
    play = Play()
    play.assign()
    play.pulled()
    missing = "CannotCreateContainerError: No such image: app:1"
    decision = play.fail(CreateContainer, Fault.GIVE_UP, missing)
    assert [type(act) for act in decision.acts] == [PullImage]
    assert (play.app.known, play.app.reason) == (Status.NONE, "")
    play.pulled()
    play.fail(CreateContainer, Fault.GIVE_UP, missing)
    assert (play.app.known, play.app.reason) == (Status.STOPPED, missing)


def test_an_image_that_is_gone_is_not_fetched_for_what_is_to_stop() -> None:
    play = Play()
    play.assign()
    play.pulled()
    play.stop()
    assert play.fail(CreateContainer, Fault.GIVE_UP, "CannotCreateContainerError: No such image: app:1").acts == ()
    assert play.app.known is Status.STOPPED
