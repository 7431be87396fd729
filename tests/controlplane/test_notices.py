"""Attachments and updates: what agents are told of them, and what their answers change."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from agent.controlplane.events import (
    Acknowledged,
    AttachmentWanted,
    DeliveriesAsked,
    MinutePassed,
    Refused,
    UpdateWanted,
)
from agent.controlplane.faults import Fault
from agent.controlplane.notices import INSTANCE_INTERFACE, TASK_INTERFACE, VOLUME, Notice
from tests.controlplane.desk import Desk

ENI = {"ec2Id": "eni-1", "macAddress": "0a:1b:2c:3d:4e:5f", "ipv4Addresses": [{"privateAddress": "10.0.1.23"}]}
NEW = ("https://example.test/agent.tar", "0" * 64)


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.define()
    desk.host()
    return desk


def home(desk: Desk) -> str:
    [arn] = desk.plane.world.instances
    return arn


def want(desk: Desk, kind: str, details: dict[str, Any] = ENI, task: str = "", seconds: float = 60) -> str:
    before = set(desk.plane.world.attachments)
    event = AttachmentWanted(
        home(desk), kind, details, desk.now, timedelta(seconds=seconds), uuid.uuid4().hex * 2, task
    )
    assert desk.decide(event).touched == {home(desk)}
    [arn] = set(desk.plane.world.attachments) - before
    return arn


def owed(desk: Desk, *, again: bool = False) -> list[Notice]:
    return list(desk.decide(DeliveriesAsked(home(desk), desk.now, again)).notices)


def test_a_tasks_interface_is_told_with_the_task_and_the_time_that_is_left(desk: Desk) -> None:
    task = desk.run()
    arn = want(desk, TASK_INTERFACE, task=task)
    desk.later(seconds=20)

    [notice] = owed(desk)

    assert notice.type == "AttachTaskNetworkInterfacesMessage"
    cluster = "arn:aws:ecs:us-east-1:123456789012:cluster/default"
    assert notice.message == {
        "messageId": f"{arn.rpartition('/')[2]}-attach",
        "clusterArn": cluster,
        "containerInstanceArn": home(desk),
        "taskArn": task,
        "taskClusterArn": cluster,
        "generatedAt": int(desk.now.timestamp() * 1000),
        "waitTimeoutMs": 40_000,
        "elasticNetworkInterfaces": [{"attachmentArn": arn, **ENI}],
    }


def test_an_instances_interface_and_a_volume_are_told_in_their_own_words(desk: Desk) -> None:
    interface = want(desk, INSTANCE_INTERFACE)
    volume = want(desk, VOLUME, {"volumeId": "vol-1"})

    first, second = owed(desk)

    assert first.type == "AttachInstanceNetworkInterfacesMessage"
    assert first.message["elasticNetworkInterfaces"][0]["attachmentArn"] == interface
    assert "taskArn" not in first.message
    assert second.type == "ConfirmAttachmentMessage"
    assert second.message["attachment"] == {
        "attachmentArn": volume,
        "attachmentType": "amazonebs",
        "attachmentProperties": [{"name": "volumeId", "value": "vol-1"}],
    }


def test_what_is_acknowledged_is_told_again_only_when_a_session_begins_and_never_after_its_time(desk: Desk) -> None:
    want(desk, VOLUME)
    [notice] = owed(desk)

    desk.decide(Acknowledged(home(desk), notice.message_id))

    assert owed(desk) == []
    assert [one.message_id for one in owed(desk, again=True)] == [notice.message_id]
    desk.later(seconds=60)
    assert owed(desk, again=True) == []


def test_what_is_not_there_in_time_has_failed_and_late_news_of_it_changes_nothing(desk: Desk) -> None:
    arn = want(desk, VOLUME)
    desk.later(seconds=60)
    desk.decide(MinutePassed(desk.now))

    desk.call("SubmitAttachmentStateChanges", attachments=[{"attachmentArn": arn, "status": "ATTACHED"}])

    assert not desk.last.changes
    [shown] = desk.instance(home(desk))["attachments"]
    assert shown["status"] == "FAILED"
    desk.later(hours=2)
    desk.decide(MinutePassed(desk.now))
    assert desk.instance(home(desk))["attachments"] == []


def test_a_tasks_interface_is_told_to_be_there_by_a_report_of_the_task_that_says_nothing_else(desk: Desk) -> None:
    task = desk.run()
    arn = want(desk, TASK_INTERFACE, task=task)
    before = desk.task(task)

    desk.report(task, attachments=[{"attachmentArn": arn, "status": "ATTACHED"}])

    after = desk.task(task)
    [shown] = after.pop("attachments")
    assert (shown["type"], shown["status"]) == ("ElasticNetworkInterface", "ATTACHED")
    assert {"name": "macAddress", "value": "0a:1b:2c:3d:4e:5f"} in shown["details"]
    assert after == {name: value for name, value in before.items() if name != "attachments"}
    assert desk.instance(home(desk))["attachments"] == []


def test_an_attachment_goes_with_its_host_and_with_its_task(desk: Desk) -> None:
    task = desk.run()
    want(desk, TASK_INTERFACE, task=task)
    want(desk, VOLUME, seconds=100_000)
    desk.report(task, "STOPPED")
    desk.later(hours=3)
    desk.decide(MinutePassed(desk.now))
    assert [one.kind for one in desk.plane.world.attachments.values()] == [VOLUME]

    desk.call("DeregisterContainerInstance", containerInstance=home(desk))
    assert owed(desk) == []
    desk.decide(MinutePassed(desk.now))

    assert not desk.plane.world.attachments


@pytest.mark.parametrize(
    ("kind", "task", "instance"),
    [("disk", "", ""), (TASK_INTERFACE, "", ""), (VOLUME, "arn:no-task", ""), (VOLUME, "", "arn:nobody")],
)
def test_an_attachment_that_could_be_nobodys_is_refused(desk: Desk, kind: str, task: str, instance: str) -> None:
    with pytest.raises(Fault) as caught:
        desk.decide(AttachmentWanted(instance or home(desk), kind, {}, desk.now, timedelta(seconds=1), "00" * 32, task))

    assert caught.value.code == "InvalidParameterException"


def test_an_agent_speaks_for_its_own_attachments_alone() -> None:
    desk = Desk()
    desk.key = "AKIAOURS"
    desk.host()
    arn = want(desk, VOLUME)
    desk.key = "AKIATHEIRS"
    told = {"attachments": [{"attachmentArn": arn, "status": "ATTACHED"}]}

    assert desk.refused("SubmitAttachmentStateChanges", **told).code == "AccessDeniedException"


def update_status(desk: Desk) -> str:
    return str(desk.instance(home(desk)).get("agentUpdateStatus", ""))


def test_an_update_is_staged_then_performed_then_over_when_another_version_comes(desk: Desk) -> None:
    assert desk.decide(UpdateWanted(home(desk), *NEW, desk.now)).touched == {home(desk)}
    assert update_status(desk) == "PENDING"
    [stage] = owed(desk)
    assert (stage.type, stage.message["updateInfo"]) == (
        "StageUpdateMessage",
        {"location": NEW[0], "signature": NEW[1]},
    )

    desk.decide(Acknowledged(home(desk), stage.message_id))
    assert update_status(desk) == "STAGED"
    [perform] = owed(desk)
    assert (perform.type, perform.message["updateInfo"]) == ("PerformUpdateMessage", stage.message["updateInfo"])
    desk.decide(Acknowledged(home(desk), perform.message_id))
    assert (update_status(desk), owed(desk)) == ("UPDATING", [])
    desk.connect(home(desk), "same version")
    assert update_status(desk) == "UPDATING"
    desk.call("RegisterContainerInstance", containerInstanceArn=home(desk), versionInfo={"agentVersion": "1.104.0"})
    desk.connect(home(desk), "other version")

    assert update_status(desk) == "UPDATED"


def test_an_agent_that_will_not_be_updated_says_so_once(desk: Desk) -> None:
    desk.decide(UpdateWanted(home(desk), *NEW, desk.now))
    [stage] = owed(desk)

    desk.decide(Refused(home(desk), stage.message_id, "Updates are disabled"))

    assert (update_status(desk), owed(desk)) == ("FAILED", [])
    update = desk.plane.world.instances[home(desk)].update
    assert update is not None
    assert update.reason == "Updates are disabled"
    for late in (Acknowledged(home(desk), stage.message_id), Refused("arn:nobody", stage.message_id, "")):
        assert not desk.decide(late).changes


def test_nobody_is_promised_an_update_that_there_is_not(desk: Desk) -> None:
    def code() -> str:
        return desk.refused("UpdateContainerAgent", containerInstance=home(desk)).code

    assert code() == "NoUpdateAvailableException"
    desk.decide(UpdateWanted(home(desk), *NEW, desk.now))
    assert code() == "UpdateInProgressException"
    with pytest.raises(Fault, match="already a current"):
        desk.decide(UpdateWanted(home(desk), *NEW, desk.now))
    quiet = Desk()
    quiet.register()
    assert quiet.refused("UpdateContainerAgent", containerInstance=home(quiet)).code == "MissingVersionException"
