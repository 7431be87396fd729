import pytest

from tests.controlplane.desk import WEB, Desk


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.define(WEB, WEB | {"name": "log", "essential": False})
    desk.host()
    return desk


def container(name: str, status: str, **members: object) -> dict[str, object]:
    return {"containerName": name, "status": status, **members}


def test_a_running_report_is_told_truly_and_a_repeat_changes_nothing(desk: Desk) -> None:
    arn = desk.run()
    desk.later(seconds=5)
    report = {
        "containers": [container("web", "RUNNING", runtimeId="abc", imageDigest="sha256:1", networkBindings=[])],
        "pullStartedAt": 10.5,
        "pullStoppedAt": 11.25,
    }
    desk.report(arn, "RUNNING", **report)
    first = desk.task(arn)
    desk.later(seconds=5)

    desk.report(arn, "RUNNING", **report)

    assert not desk.last.changes
    assert desk.task(arn) == first
    assert first["lastStatus"] == "RUNNING"
    assert (first["pullStartedAt"], first["pullStoppedAt"]) == (10.5, 11.25)
    assert first["startedAt"] == first["createdAt"] + 5
    assert first["containers"][0]["runtimeId"] == "abc"
    assert first["containers"][0]["imageDigest"] == "sha256:1"
    assert first["version"] == 2


def test_running_after_stopped_is_acknowledged_and_ignored(desk: Desk) -> None:
    arn = desk.run()
    desk.report(arn, "STOPPED")

    desk.report(arn, "RUNNING", pullStartedAt=5)

    assert not desk.last.changes
    assert desk.task(arn)["lastStatus"] == "STOPPED"


def test_a_task_that_never_ran_says_why(desk: Desk) -> None:
    arn = desk.run()

    desk.report(arn, "STOPPED", containers=[container("web", "STOPPED", reason="CannotPullContainerError: no")])

    task = desk.task(arn)
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"] == "CannotPullContainerError: no"
    assert task["containers"][0]["reason"] == "CannotPullContainerError: no"
    assert not {"startedAt", "stoppingAt", "executionStoppedAt"} & task.keys()
    assert "stoppedAt" in task


def test_an_essential_exit_moves_the_wish_before_the_rest_has_stopped(desk: Desk) -> None:
    arn = desk.run()
    desk.report(arn, "RUNNING")
    desk.later(seconds=1)

    desk.report(arn, "RUNNING", containers=[container("web", "STOPPED", exitCode=3)])

    task = desk.task(arn)
    assert (task["lastStatus"], task["desiredStatus"]) == ("RUNNING", "STOPPED")
    assert (task["stopCode"], task["stoppingAt"]) == ("EssentialContainerExited", desk.now.timestamp())
    desk.report(arn, "STOPPED", executionStoppedAt=desk.now.timestamp())
    done = desk.task(arn)
    assert done["executionStoppedAt"] == desk.now.timestamp()
    assert [c["lastStatus"] for c in done["containers"]] == ["STOPPED", "STOPPED"]
    assert done["containers"][0]["exitCode"] == 3
    assert "exitCode" not in done["containers"][1]


def test_a_task_that_ran_and_stopped_has_all_its_times(desk: Desk) -> None:
    arn = desk.run()
    desk.report(arn, "RUNNING")
    desk.later(seconds=1)

    desk.report(arn, "STOPPED")

    task = desk.task(arn)
    assert task["stoppingAt"] == task["executionStoppedAt"] == task["stoppedAt"] == desk.now.timestamp()


def test_a_container_that_is_not_essential_ends_alone(desk: Desk) -> None:
    arn = desk.run()
    desk.report(arn, "RUNNING")

    desk.report(arn, containers=[container("log", "STOPPED", exitCode=0)])

    task = desk.task(arn)
    assert (task["lastStatus"], task["desiredStatus"]) == ("RUNNING", "RUNNING")
    assert task["containers"][1]["exitCode"] == 0


def test_a_containers_status_never_goes_back(desk: Desk) -> None:
    arn = desk.run()
    desk.report(arn, containers=[container("web", "RUNNING")])

    desk.report(arn, containers=[container("web", "PENDING")])

    assert desk.task(arn)["containers"][0]["lastStatus"] == "RUNNING"


def test_a_users_wish_outlives_what_follows_from_it(desk: Desk) -> None:
    arn = desk.run()
    desk.report(arn, "RUNNING")
    desk.call("StopTask", task=arn, reason="enough")

    desk.report(arn, "STOPPED", reason="Essential container in task exited", containers=[container("web", "STOPPED")])

    task = desk.task(arn)
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "enough")


def test_an_unknown_task_is_settled_as_refused(desk: Desk) -> None:
    arn = "arn:aws:ecs:us-east-1:123456789012:task/default/" + "0" * 32

    assert desk.refused("SubmitTaskStateChange", task=arn, status="STOPPED").code == "InvalidParameterException"
    assert desk.refused("SubmitTaskStateChange", status="STOPPED").code == "InvalidParameterException"
    assert desk.refused("SubmitTaskStateChange", cluster="no", task=arn).code == "ClusterNotFoundException"


def test_older_agents_report_a_container_by_itself(desk: Desk) -> None:
    arn = desk.run()

    answer = desk.call(
        "SubmitContainerStateChange", task=arn, containerName="web", status="RUNNING", runtimeId="abc", exitCode=None
    )

    assert answer == {"acknowledgment": "ACK"}
    assert desk.task(arn)["containers"][0]["runtimeId"] == "abc"


def test_how_a_container_ended_is_not_lost_where_it_is_told_after_the_end_of_its_task(desk: Desk) -> None:
    """Older agents tell the two by calls of their own, and try each again for as long as it takes."""
    arn = desk.run()
    desk.report(arn, "RUNNING")
    desk.report(arn, "STOPPED")
    before = desk.task(arn)
    end = {"task": arn, "containerName": "web", "status": "STOPPED"}

    desk.call("SubmitContainerStateChange", **end, runtimeId="abc", exitCode=3, reason="OutOfMemoryError: x")
    after = desk.task(arn)
    desk.call("SubmitContainerStateChange", **end, runtimeId="def", exitCode=4, reason="y")

    assert not desk.last.changes, "what is known stays"
    ended, *_ = after["containers"]
    assert (ended["runtimeId"], ended["exitCode"], ended["reason"]) == ("abc", 3, "OutOfMemoryError: x")
    assert after["version"] == before["version"] + 1
    assert all(after[name] == before[name] for name in before.keys() - {"containers", "version"})


def test_old_news_of_an_attachment_is_acknowledged(desk: Desk) -> None:
    attachment = {"attachmentArn": "arn:aws:ecs:us-east-1:123456789012:attachment/x", "status": "ATTACHED"}

    assert desk.call("SubmitAttachmentStateChanges", attachments=[attachment]) == {"acknowledgment": "ACK"}
    assert desk.refused("SubmitAttachmentStateChanges").code == "InvalidParameterException"


def test_a_long_reason_of_a_container_is_shown_without_its_middle(desk: Desk) -> None:
    arn = desk.run()

    desk.report(arn, "STOPPED", containers=[container("web", "STOPPED", reason="StartError: " + "x" * 999 + " EIO")])

    reason = desk.task(arn)["containers"][0]["reason"]
    assert len(reason) == 255
    assert (reason[:12], reason[-4:]) == ("StartError: ", " EIO")


def test_a_digest_is_shown_while_the_task_is_still_pending(desk: Desk) -> None:
    arn = desk.run()

    desk.report(arn, "PENDING", containers=[container("web", "PENDING", imageDigest="sha256:1")])

    task = desk.task(arn)
    assert task["lastStatus"] == "PENDING"
    assert (task["containers"][0]["lastStatus"], task["containers"][0]["imageDigest"]) == ("PENDING", "sha256:1")
    assert "imageDigest" not in task["containers"][1]


def test_ranges_of_ports_are_shown_as_they_were_told(desk: Desk) -> None:
    arn = desk.run()
    bindings = [
        {"bindIP": "0.0.0.0", "containerPortRange": "80-90", "hostPortRange": "49153-49163", "protocol": "tcp"},
        {"bindIP": "0.0.0.0", "containerPort": 1, "hostPort": 2, "protocol": "udp"},
    ]

    desk.report(arn, "RUNNING", containers=[container("web", "RUNNING", networkBindings=bindings)])

    shown = desk.task(arn)["containers"][0]
    assert shown["networkBindings"] == bindings
    assert shown["healthStatus"] == "UNKNOWN"


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ([container("web", "STOPPED", exitCode=143, reason="CannotStartContainerError: no")], "TaskFailedToStart"),
        ([container("web", "STOPPED"), container("log", "STOPPED", exitCode=1, runtimeId="b")], "TaskFailedToStart"),
        ([container("web", "STOPPED", exitCode=0, runtimeId="a")], "EssentialContainerExited"),
    ],
)
def test_a_task_that_never_ran_failed_to_start_unless_an_essential_container_did_run(
    desk: Desk, told: list[dict[str, object]], code: str
) -> None:
    arn = desk.run()

    desk.report(arn, "STOPPED", containers=told)

    assert desk.task(arn)["stopCode"] == code


def test_a_containers_own_report_moves_the_task_that_cannot_do_without_it(desk: Desk) -> None:
    arn = desk.run()
    desk.report(arn, "RUNNING")

    desk.call("SubmitContainerStateChange", task=arn, containerName="web", status="STOPPED", exitCode=3, reason="boom")

    task = desk.task(arn)
    assert (task["lastStatus"], task["desiredStatus"], task["stopCode"]) == (
        "RUNNING",
        "STOPPED",
        "EssentialContainerExited",
    )
    assert [(c["name"], c["lastStatus"], c.get("exitCode"), c.get("reason")) for c in task["containers"]] == [
        ("web", "STOPPED", 3, "boom"),
        ("log", "PENDING", None, None),
    ]


def test_a_task_that_its_agent_cannot_read_is_over_though_its_message_was_never_acknowledged(desk: Desk) -> None:
    [host] = desk.plane.world.instances
    arn = desk.run()
    assert [name for name, _ in desk.owed(host)] == [f"{arn.rpartition('/')[2]}-run"]

    desk.report(arn, "STOPPED", reason="UnrecogniedTaskError: Error loading task - no such mode")

    assert desk.owed(host) == []
    task = desk.task(arn)
    assert (task["stopCode"], task["lastStatus"]) == ("TaskFailedToStart", "STOPPED")
    assert task["stoppedReason"] == "UnrecogniedTaskError: Error loading task - no such mode"
