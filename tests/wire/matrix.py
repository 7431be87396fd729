"""Every message of the protocol once, composed by hand: what the server sends, and what an agent answers to it.

Both ends are tried with these: the agent over a socket with a server made by hand, the control plane with an agent made
by hand. Nothing here comes out of our own reading or writing of frames.
"""

from dataclasses import dataclass
from typing import Any

CLUSTER = "arn:aws:ecs:us-west-2:111122223333:cluster/demo"
INSTANCE = "arn:aws:ecs:us-west-2:111122223333:container-instance/demo/0123456789abcdef0123456789abcdef"
TASK = "arn:aws:ecs:us-west-2:111122223333:task/demo/aaaabbbbccccddddeeeeffff00001111"
MAC = "0a:1b:2c:3d:4e:5f"
TRUNK_MAC = "0a:1b:2c:3d:4e:60"
VOLUME = "vol-0123456789abcdef0"

Frame = dict[str, Any]

ROLE = {
    "credentialsId": "b9c1-app",
    "roleArn": "arn:aws:iam::111122223333:role/app",
    "accessKeyId": "ASIAVISIBLE",
    "secretAccessKey": "hush-secret",
    "sessionToken": "hush-token",
    "expiration": "2026-01-15T18:00:00Z",
}
EXECUTION_ROLE = {**ROLE, "credentialsId": "77aa-exec", "expiration": "2026-01-15T19:00:00Z"}

RUN: Frame = {
    "arn": TASK,
    "desiredStatus": "RUNNING",
    "family": "shop",
    "version": "7",
    "containers": [{"name": "web", "image": "nginx:1.27", "essential": True, "memory": 64}],
}


def attachment_arn(name: str) -> str:
    return f"arn:aws:ecs:us-west-2:111122223333:attachment/{name}"


def interface(name: str, mac: str, **more: object) -> Frame:
    """A network interface as ECS describes it."""
    return {
        "attachmentArn": attachment_arn(name),
        "ec2Id": f"eni-{name}",
        "macAddress": mac,
        "interfaceAssociationProtocol": "default",
        "ipv4Addresses": [{"privateAddress": "10.0.1.23", "primary": True}],
        "subnetGatewayIpv4Address": "10.0.1.1/24",
        "domainNameServers": ["10.0.0.2"],
        "domainName": ["us-west-2.compute.internal"],
        "privateDnsName": "ip-10-0-1-23.us-west-2.compute.internal",
        **more,
    }


VOLUME_PROPERTIES = {
    "volumeId": VOLUME,
    "volumeSizeGib": "20",
    "deviceName": "/dev/xvdba",
    "sourceVolumeHostPath": "aaaa_vol-0123456789abcdef0",
    "volumeName": "data",
    "fileSystem": "xfs",
}


def volume(name: str, properties: dict[str, str] | None = None, kind: str = "amazonebs") -> Frame:
    """A volume as ECS describes it."""
    given = VOLUME_PROPERTIES if properties is None else properties
    return {
        "attachmentArn": attachment_arn(name),
        "attachmentType": kind,
        "attachmentProperties": [{"name": key, "value": value} for key, value in given.items()],
    }


def frame(kind: str, **message: object) -> Frame:
    return {"type": kind, "message": message}


def addressed(kind: str, message_id: str, **message: object) -> Frame:
    """A frame with the three names that most messages of the server have."""
    return frame(kind, messageId=message_id, clusterArn=CLUSTER, containerInstanceArn=INSTANCE, **message)


def ack(message_id: str) -> Frame:
    return frame("AckRequest", cluster=CLUSTER, containerInstance=INSTANCE, messageId=message_id)


def nack(message_id: str, reason: str) -> Frame:
    return frame("NackRequest", cluster=CLUSTER, containerInstance=INSTANCE, messageId=message_id, reason=reason)


def role_ack(message_id: str, role: dict[str, str] = ROLE) -> Frame:
    named = {"credentialsId": role["credentialsId"], "expiration": role["expiration"]}
    return frame("IAMRoleCredentialsAckRequest", messageId=message_id, **named)


def listed(arn: str, status: str) -> Frame:
    return {"taskArn": arn, "taskClusterArn": CLUSTER, "desiredStatus": status}


@dataclass(frozen=True)
class Row:
    """One message of the server's, and the agent's answers in their order."""

    name: str
    told: Frame
    answers: tuple[Frame, ...] = ()
    needs: Frame | None = None
    """What the server has sent before."""


UPDATE = {"location": "https://example.test/agent.tar", "signature": "ab" * 32}
DISABLED = "Updates are disabled"
ATTACH_TASK = addressed(
    "AttachTaskNetworkInterfacesMessage",
    "eni-1",
    taskArn=TASK,
    taskClusterArn=CLUSTER,
    generatedAt=1768478400000,
    waitTimeoutMs=300000,
    elasticNetworkInterfaces=[interface("0f0e0d0c", MAC)],
)
ATTACH_INSTANCE = addressed(
    "AttachInstanceNetworkInterfacesMessage",
    "eni-2",
    waitTimeoutMs=60000,
    elasticNetworkInterfaces=[interface("99998888", TRUNK_MAC)],
)
CONFIRM = addressed(
    "ConfirmAttachmentMessage",
    "ebs-1",
    taskArn=TASK,
    taskClusterArn=CLUSTER,
    waitTimeoutMs=300000,
    attachment=volume("77776666"),
)
PAYLOAD = addressed("PayloadMessage", "p-1", seqNum=13, tasks=[RUN])
MANIFEST = addressed("TaskManifestMessage", "tm-1", generatedAt=1768478400000, timeline=20, tasks=[])
SENTENCES = (
    "CloseMessage",
    "ErrorMessage",
    "ServerException",
    "BadRequestException",
    "InvalidClusterException",
    "InvalidInstanceException",
    "AccessDeniedException",
    "InactiveInstanceException",
)

ROWS = (
    Row(
        "heartbeat",
        frame("HeartbeatMessage", healthy=True, messageId="hb-1"),
        (frame("HeartbeatAckRequest", messageId="hb-1"),),
    ),
    Row("payload", PAYLOAD, (ack("p-1"),)),
    Row(
        "payload with roles",
        addressed(
            "PayloadMessage",
            "p-2",
            seqNum=14,
            tasks=[{**RUN, "roleCredentials": ROLE, "executionRoleCredentials": EXECUTION_ROLE}],
        ),
        (ack("p-2"), role_ack("p-2"), role_ack("p-2", EXECUTION_ROLE)),
    ),
    Row(
        "payload with a stop",
        addressed("PayloadMessage", "p-3", seqNum=15, tasks=[{"arn": TASK, "desiredStatus": "STOPPED"}]),
        (ack("p-3"),),
    ),
    Row(
        "fresh credentials",
        frame(
            "IAMRoleCredentialsMessage",
            messageId="c-9",
            taskArn=TASK,
            taskClusterArn=CLUSTER,
            roleType="TaskApplication",
            roleCredentials=ROLE,
        ),
        (role_ack("c-9"),),
        needs=PAYLOAD,
    ),
    Row("interface of a task", ATTACH_TASK, (ack("eni-1"),)),
    Row("interface of the instance", ATTACH_INSTANCE, (ack("eni-2"),)),
    Row("volume", CONFIRM, (ack("ebs-1"),)),
    Row(
        "list that has all tasks",
        addressed("TaskManifestMessage", "tm-0", timeline=20, tasks=[listed(TASK, "RUNNING")]),
        (ack("tm-0"),),
        needs=PAYLOAD,
    ),
    Row(
        "list that lacks a task",
        MANIFEST,
        (ack("tm-1"), frame("TaskStopVerificationMessage", messageId="tm-1", stopCandidates=[listed(TASK, "STOPPED")])),
        needs=PAYLOAD,
    ),
    Row("list that is not newer", addressed("TaskManifestMessage", "tm-2", timeline=13, tasks=[]), needs=PAYLOAD),
    Row(
        "stops that were verified",
        frame("TaskStopVerificationAck", messageId="tm-1", stopTasks=[listed(TASK, "STOPPED")]),
        needs=MANIFEST,
    ),
    Row("update to fetch", addressed("StageUpdateMessage", "u-1", updateInfo=UPDATE), (nack("u-1", DISABLED),)),
    Row("update to make", addressed("PerformUpdateMessage", "u-2", updateInfo=UPDATE), (nack("u-2", DISABLED),)),
    *(Row(f"{kind}, with a type", frame(kind, message="said")) for kind in SENTENCES),
    *(Row(f"{kind}, by its name alone", {kind: "said"}) for kind in SENTENCES),
)
"""What the server may send. After each an agent is alive, and answers the next heartbeat."""
