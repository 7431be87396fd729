import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from agent.model.devices import Gpus
from agent.model.identity import Attribute, Resource
from agent.model.names import DockerId, TaskArn
from agent.model.registration import Registered, Registration
from agent.model.reports import REASON_LIMIT, ContainerReport, TaskReport
from agent.model.status import Status
from agent.model.task import Binding, Transport
from agent.wire.ecs import RegisterContainerInstanceAnswer, to_register, to_registered, to_state_change, to_submission

T0 = datetime(2026, 1, 15, 12, tzinfo=UTC)
TASK = TaskArn("arn:aws:ecs:us-west-2:111122223333:task/demo/aaaabbbbccccddddeeeeffff00001111")


def sent(request: msgspec.Struct) -> Any:  # noqa: ANN401  JSON is anything
    return json.loads(msgspec.json.encode(request))


def test_a_first_registration_sends_its_empty_fields_and_no_arn() -> None:
    asked = Registration(
        cluster="demo",
        client_token="2f1c1c0e",
        instance_arn="",
        resources=(
            Resource("CPU", integer=4096),
            Resource("MEMORY", integer=0),
            Resource("PORTS", strings=("22",)),
            Resource("PORTS_UDP", strings=()),
        ),
        attributes=(Attribute("ecs.capability.full-sync"), Attribute("ecs.os-type", "linux")),
    )

    assert sent(to_register(asked)) == {
        "cluster": "demo",
        "clientToken": "2f1c1c0e",
        "instanceIdentityDocument": "",
        "instanceIdentityDocumentSignature": "",
        "attributes": [{"name": "ecs.capability.full-sync"}, {"name": "ecs.os-type", "value": "linux"}],
        "totalResources": [
            {"name": "CPU", "type": "INTEGER", "integerValue": 4096},
            {"name": "MEMORY", "type": "INTEGER"},
            {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ["22"]},
            {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
        ],
    }


def test_a_registration_repeated_sends_the_arn_and_tags() -> None:
    body = sent(to_register(Registration("demo", "t", "arn:instance", (), (), (("team", "a"),), "doc", "sig")))

    assert body["containerInstanceArn"] == "arn:instance"
    assert body["tags"] == [{"key": "team", "value": "a"}]
    assert (body["instanceIdentityDocument"], body["instanceIdentityDocumentSignature"]) == ("doc", "sig")


def test_gpus_are_platform_devices() -> None:
    asked = Registration("demo", "t", "", (), (), gpus=Gpus(("GPU-1", "MIG-2"), "550"))

    assert sent(to_register(asked))["platformDevices"] == [
        {"id": "GPU-1", "type": "GPU"},
        {"id": "MIG-2", "type": "GPU"},
    ]


def test_an_answer_is_read_whatever_else_it_holds() -> None:
    text = b"""{"containerInstance": {"containerInstanceArn": "arn", "status": "ACTIVE", "agentConnected": false,
        "attributes": [{"name": "ecs.vpc-id", "value": "vpc-0a"}, {"name": "bare", "value": null}], "version": 3}}"""

    answer = to_registered(msgspec.json.decode(text, type=RegisterContainerInstanceAnswer))

    assert answer == Registered("arn", (Attribute("ecs.vpc-id", "vpc-0a"), Attribute("bare")), "ACTIVE")


def test_an_answer_without_arn_or_attributes_is_empty() -> None:
    answer = msgspec.json.decode(b'{"containerInstance": {"attributes": null}}', type=RegisterContainerInstanceAnswer)
    assert to_registered(answer) == Registered("")


def test_a_running_task_is_told_with_its_containers_bindings_and_times() -> None:
    web = ContainerReport(
        "web",
        Status.RUNNING,
        DockerId("4c1f"),
        bindings=(Binding(80, 32768, Transport.TCP, "0.0.0.0"),),
        image_digest="sha256:9f",
    )
    report = TaskReport(
        TASK,
        Status.RUNNING,
        moved=True,
        at=T0,
        containers=(web,),
        pull_started_at=T0 + timedelta(microseconds=120_499),
        pull_stopped_at=T0 + timedelta(seconds=5),
    )

    assert sent(to_state_change(report, "demo")) == {
        "cluster": "demo",
        "task": TASK,
        "status": "RUNNING",
        "reason": "",
        "containers": [
            {
                "containerName": "web",
                "status": "RUNNING",
                "runtimeId": "4c1f",
                "imageDigest": "sha256:9f",
                "networkBindings": [
                    {"bindIP": "0.0.0.0", "containerPort": 80, "hostPort": 32768, "protocol": "tcp"},
                ],
            }
        ],
        "pullStartedAt": 1768478400.12,
        "pullStoppedAt": 1768478405.0,
    }


def test_a_stopped_container_tells_its_exit_code_zero_and_empty_bindings() -> None:
    web = ContainerReport("web", Status.STOPPED, DockerId("4c1f"), exit_code=0, reason="done")
    body = sent(to_state_change(TaskReport(TASK, Status.STOPPED, moved=True, at=T0, containers=(web,)), "demo"))

    assert body["containers"] == [
        {
            "containerName": "web",
            "status": "STOPPED",
            "runtimeId": "4c1f",
            "exitCode": 0,
            "reason": "done",
            "networkBindings": [],
        }
    ]


def test_what_is_neither_running_nor_stopped_is_pending_and_without_containers_there_is_no_list() -> None:
    body = sent(to_state_change(TaskReport(TASK, Status.PULLED, moved=True, at=T0, reason="why"), "demo"))
    assert body == {"cluster": "demo", "task": TASK, "status": "PENDING", "reason": "why"}


def test_a_range_of_ports_is_told_as_two_ranges() -> None:
    bindings = (Binding(8000, 40000, Transport.TCP, "0.0.0.0", count=10), Binding(53, 5353, Transport.UDP, "::"))
    web = ContainerReport("web", Status.RUNNING, bindings=bindings)
    body = sent(to_state_change(TaskReport(TASK, Status.RUNNING, moved=False, at=T0, containers=(web,)), "demo"))

    assert body["containers"][0]["networkBindings"] == [
        {"bindIP": "0.0.0.0", "containerPortRange": "8000-8009", "hostPortRange": "40000-40009", "protocol": "tcp"},
        {"bindIP": "::", "containerPort": 53, "hostPort": 5353, "protocol": "udp"},
    ]


def test_an_image_that_a_tag_turned_out_to_mean_is_told_before_the_container_runs() -> None:
    web = ContainerReport("web", Status.PULLED, image_digest="sha256:9f")
    body = sent(to_state_change(TaskReport(TASK, Status.NONE, moved=False, at=T0, containers=(web,)), "demo"))

    assert body["status"] == "PENDING"
    assert body["containers"] == [
        {"containerName": "web", "status": "PENDING", "imageDigest": "sha256:9f", "networkBindings": []}
    ]


def test_reasons_of_tasks_and_containers_are_cut() -> None:
    web = ContainerReport("web", Status.STOPPED, reason="y" * 2000)
    body = sent(
        to_state_change(
            TaskReport(TASK, Status.STOPPED, moved=True, at=T0, reason="x" * 2000, containers=(web,)), "demo"
        )
    )

    assert len(body["reason"]) == len(body["containers"][0]["reason"]) == REASON_LIMIT
    assert (body["reason"][0], body["containers"][0]["reason"][0]) == ("x", "y")


def test_an_interface_of_a_task_is_told_as_a_change_of_the_task_that_says_nothing_of_its_state() -> None:
    report = TaskReport(TASK, Status.NONE, moved=True, at=T0, attachment="arn:attachment/1")

    action, request = to_submission(report, "demo")

    state = [{"attachmentArn": "arn:attachment/1", "status": "ATTACHED"}]
    assert (action, sent(request)) == (
        "SubmitTaskStateChange",
        {"cluster": "demo", "task": TASK, "attachments": state},
    )


def test_what_belongs_to_no_task_is_told_by_a_call_of_its_own() -> None:
    report = TaskReport(TaskArn(""), Status.NONE, moved=True, at=T0, attachment="arn:attachment/1")

    action, request = to_submission(report, "demo")

    state = [{"attachmentArn": "arn:attachment/1", "status": "ATTACHED"}]
    assert (action, sent(request)) == ("SubmitAttachmentStateChanges", {"cluster": "demo", "attachments": state})


def test_a_change_of_a_task_is_told_as_one() -> None:
    report = TaskReport(TASK, Status.RUNNING, moved=True, at=T0)

    assert to_submission(report, "demo") == ("SubmitTaskStateChange", to_state_change(report, "demo"))
