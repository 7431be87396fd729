"""UpdateContainerInstancesState: an instance is drained, and had back."""

import pytest

from tests.controlplane.desk import Desk

SERVICE = {"group": "service:shop", "startedBy": "ecs-svc/1234567890123456789"}


def set_state(desk: Desk, status: str, *instances: str) -> list[str]:
    """The reasons of what failed."""
    answer = desk.call("UpdateContainerInstancesState", containerInstances=list(instances), status=status)
    assert all(shown["status"] == status for shown in answer["containerInstances"])
    return [failure["reason"] for failure in answer["failures"]]


def test_a_draining_instance_is_shown_listed_and_given_no_task() -> None:
    desk = Desk()
    desk.define()
    drained, other = desk.host(), desk.host()
    before = desk.instance(drained)["version"]

    assert set_state(desk, "DRAINING", drained.rpartition("/")[2]) == []

    assert (desk.instance(drained)["status"], desk.instance(drained)["version"]) == ("DRAINING", before + 1)
    assert desk.call("ListContainerInstances", status="DRAINING")["containerInstanceArns"] == [drained]
    assert len(desk.call("ListContainerInstances")["containerInstanceArns"]) == 2
    (cluster,) = desk.call("DescribeClusters")["clusters"]
    assert cluster["registeredContainerInstancesCount"] == 2
    assert {desk.task(desk.run())["containerInstanceArn"] for _ in range(4)} == {other}


def test_where_all_are_draining_there_is_no_place() -> None:
    desk = Desk()
    desk.define()
    set_state(desk, "DRAINING", desk.host())
    refused = desk.refused("RunTask", taskDefinition="web")
    assert (refused.code, str(refused)) == (
        "InvalidParameterException",
        "No Container Instances were found in your cluster.",
    )


def test_an_instance_that_is_active_again_is_given_tasks_again() -> None:
    desk = Desk()
    desk.define()
    arn = desk.host()
    set_state(desk, "DRAINING", arn)
    assert set_state(desk, "ACTIVE", arn) == []
    assert desk.task(desk.run())["containerInstanceArn"] == arn


def test_tasks_of_services_are_stopped_and_others_left_alone() -> None:
    desk = Desk()
    desk.define()
    arn = desk.host()
    alone, served, pending = desk.run(), desk.run(**SERVICE), desk.run(**SERVICE)
    desk.report(served, "RUNNING")

    set_state(desk, "DRAINING", arn)

    assert desk.task(alone)["desiredStatus"] == "RUNNING"
    for task in (served, pending):
        shown = desk.task(task)
        assert (shown["desiredStatus"], shown["stopCode"]) == ("STOPPED", "ServiceSchedulerInitiated")
        assert "DRAINING" in shown["stoppedReason"]


def test_two_drainers_do_no_harm_and_the_second_changes_nothing() -> None:
    desk = Desk()
    desk.define()
    arn = desk.host()
    served = desk.run(**SERVICE)
    set_state(desk, "DRAINING", arn)
    before = desk.instance(arn), desk.task(served)
    assert set_state(desk, "DRAINING", arn) == []
    assert not desk.last.changes
    assert (desk.instance(arn), desk.task(served)) == before


def test_a_drained_instance_that_registers_again_stays_so() -> None:
    desk = Desk()
    arn = desk.host()
    set_state(desk, "DRAINING", arn)
    desk.register(containerInstanceArn=arn)
    assert desk.instance(arn)["status"] == "DRAINING"


def test_what_is_unknown_or_deregistered_is_a_failure_beside_what_is_done() -> None:
    desk = Desk()
    arn, gone = desk.host(), desk.host()
    desk.call("DeregisterContainerInstance", containerInstance=gone)
    assert set_state(desk, "DRAINING", arn, gone, "0" * 32) == ["INACTIVE", "MISSING"]
    assert desk.instance(arn)["status"] == "DRAINING"


@pytest.mark.parametrize(
    ("members", "code", "words"),
    [
        ({"status": "REGISTERING"}, "InvalidParameterException", "ACTIVE and DRAINING"),
        ({"status": "DEREGISTERING"}, "InvalidParameterException", "ACTIVE and DRAINING"),
        ({"status": "asleep"}, "InvalidParameterException", "status"),
        ({"status": "DRAINING", "containerInstances": []}, "InvalidParameterException", "cannot be empty"),
        ({"status": "DRAINING", "containerInstances": [f"{n:032x}" for n in range(11)]}, "InvalidParam", "at most 10"),
        ({"status": "DRAINING", "cluster": "nowhere"}, "ClusterNotFoundException", "not found"),
        ({}, "InvalidParameterException", "status"),
    ],
)
def test_what_makes_no_sense_is_refused(members: dict[str, object], code: str, words: str) -> None:
    desk = Desk()
    arn = desk.host()
    refused = desk.refused("UpdateContainerInstancesState", **{"containerInstances": [arn], **members})
    assert refused.code.startswith(code)
    assert words in str(refused)
