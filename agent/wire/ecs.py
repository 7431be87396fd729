"""The ECS actions that an agent calls, as JSON 1.1 (wire protocol, ECS JSON 1.1 API).

Fields without a default are always sent, empty or not; a field at its default is left out. Answers hold only what an
agent reads. Names are the API's, in camel case on the wire.
"""

from datetime import datetime

import msgspec

from agent.model.identity import Attribute, Resource
from agent.model.registration import Registered, Registration
from agent.model.reports import ContainerReport, TaskReport, shortened
from agent.model.task import Binding

CONTENT_TYPE = "application/x-amz-json-1.1"
_LONG_ARN = 3
"""Parts of ``arn:aws:ecs:region:account:task/cluster/id``."""
ATTACHED = "ATTACHED"
GPU = "GPU"
"""The only type of a platform device."""
TARGET_PREFIX = "AmazonEC2ContainerServiceV20141113."


class Request(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A body that we send."""


def cluster_of(task: str) -> str:
    """The name of the cluster in a task's ARN; empty in an ARN of the old, short kind."""
    parts = task.split("/")
    return parts[1] if len(parts) == _LONG_ARN else ""


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """A body that ECS sends; null equals absent, unknown fields are ignored."""


class WireAttribute(Request, frozen=True):
    """API: Attribute. Without a value for a bare capability."""

    name: str
    value: str | None = None


class WireResource(Request, frozen=True):
    """API: Resource. An integer that is 0 is left out, a set that is empty is not."""

    name: str
    type: str
    integer_value: int | None = None
    string_set_value: tuple[str, ...] | None = None


class WireTag(Request, frozen=True):
    """API: Tag."""

    key: str
    value: str


class WireDevice(Request, frozen=True):
    """API: PlatformDevice."""

    id: str
    type: str


class RegisterContainerInstance(Request, frozen=True):
    """API: RegisterContainerInstance. `clientToken` is in the agents' own model of the API, not in the public one."""

    cluster: str
    client_token: str
    instance_identity_document: str
    instance_identity_document_signature: str
    attributes: tuple[WireAttribute, ...]
    total_resources: tuple[WireResource, ...]
    container_instance_arn: str = ""
    tags: tuple[WireTag, ...] = ()
    platform_devices: tuple[WireDevice, ...] = ()


class RegisteredInstance(Answer, frozen=True):
    """API: ContainerInstance, as far as an agent reads it."""

    container_instance_arn: str | None = None
    attributes: tuple[WireAttribute, ...] | None = None
    status: str | None = None


class RegisterContainerInstanceAnswer(Answer, frozen=True):
    """The answer to RegisterContainerInstance."""

    container_instance: RegisteredInstance


class UpdateContainerInstancesState(Request, frozen=True):
    """API: UpdateContainerInstancesState. `status` is ACTIVE or DRAINING."""

    cluster: str
    container_instances: tuple[str, ...]
    status: str


class WireFailure(Answer, frozen=True):
    """API: Failure, as far as an agent reads it."""

    reason: str | None = None


class UpdateContainerInstancesStateAnswer(Answer, frozen=True):
    """The answer to UpdateContainerInstancesState."""

    failures: tuple[WireFailure, ...] | None = None


class DeregisterContainerInstance(Request, frozen=True):
    """API: DeregisterContainerInstance."""

    cluster: str
    container_instance: str
    force: bool


class CreateCluster(Request, frozen=True):
    """API: CreateCluster."""

    cluster_name: str


class CreatedCluster(Answer, frozen=True):
    """API: Cluster, as far as an agent reads it."""

    cluster_name: str


class CreateClusterAnswer(Answer, frozen=True):
    """The answer to CreateCluster."""

    cluster: CreatedCluster


class DiscoverPollEndpoint(Request, frozen=True):
    """API: DiscoverPollEndpoint. The zone is sent even though it is empty."""

    cluster: str
    container_instance: str
    zone_id: str


class DiscoverPollEndpointAnswer(Answer, frozen=True):
    """Where ACS and TCS are. Each may be absent."""

    endpoint: str | None = None
    telemetry_endpoint: str | None = None


class GetTaskProtection(Request, frozen=True):
    """API: GetTaskProtection."""

    cluster: str
    tasks: tuple[str, ...]


class UpdateTaskProtection(Request, frozen=True):
    """API: UpdateTaskProtection."""

    cluster: str
    tasks: tuple[str, ...]
    protection_enabled: bool
    expires_in_minutes: int | None = None


class ProtectedTask(Answer, frozen=True):
    """API: ProtectedTask."""

    task_arn: str | None = None
    protection_enabled: bool | None = None
    expiration_date: float | None = None


class ProtectionFailed(Answer, frozen=True):
    """API: Failure."""

    arn: str | None = None
    reason: str | None = None
    detail: str | None = None


class TaskProtectionAnswer(Answer, frozen=True):
    """The answer to GetTaskProtection and to UpdateTaskProtection."""

    protected_tasks: tuple[ProtectedTask, ...] | None = None
    failures: tuple[ProtectionFailed, ...] | None = None


class ListTagsForResource(Request, frozen=True):
    """API: ListTagsForResource."""

    resource_arn: str


class FoundTag(Answer, frozen=True):
    """API: Tag. One without a value has an empty one."""

    key: str
    value: str | None = None


class ListTagsForResourceAnswer(Answer, frozen=True):
    """The answer to ListTagsForResource."""

    tags: tuple[FoundTag, ...] | None = None


class WireBinding(Request, frozen=True):
    """API: NetworkBinding. Either two ports, or two ranges of as many."""

    bind_ip: str = msgspec.field(name="bindIP")
    protocol: str
    container_port: int | None = None
    host_port: int | None = None
    container_port_range: str | None = None
    host_port_range: str | None = None


class ContainerStateChange(Request, frozen=True):
    """API: ContainerStateChange. `imageDigest` is left out where it is not known."""

    container_name: str
    status: str
    network_bindings: tuple[WireBinding, ...]
    runtime_id: str = ""
    exit_code: int | None = None
    reason: str = ""
    image_digest: str = ""


class SubmitTaskStateChange(Request, frozen=True):
    """API: SubmitTaskStateChange, for a task's state. Times are seconds since 1970, exact to a millisecond."""

    cluster: str
    task: str
    status: str
    reason: str
    containers: tuple[ContainerStateChange, ...] = ()
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    execution_stopped_at: float | None = None


class AttachmentStateChange(Request, frozen=True):
    """API: AttachmentStateChange. An agent tells of no other status than ATTACHED."""

    attachment_arn: str
    status: str


class SubmitTaskAttachments(Request, frozen=True):
    """API: SubmitTaskStateChange, for interfaces of a task: then nothing is said of its state."""

    cluster: str
    task: str
    attachments: tuple[AttachmentStateChange, ...]


class SubmitAttachmentStateChanges(Request, frozen=True):
    """API: SubmitAttachmentStateChanges, for interfaces of the instance and for volumes. Always one of them."""

    cluster: str
    attachments: tuple[AttachmentStateChange, ...]


def to_register(asked: Registration) -> RegisterContainerInstance:
    """The request for *asked*. `versionInfo` is not sent."""
    return RegisterContainerInstance(
        cluster=asked.cluster,
        client_token=asked.client_token,
        instance_identity_document=asked.identity_document,
        instance_identity_document_signature=asked.identity_signature,
        attributes=tuple(WireAttribute(a.name, a.value or None) for a in asked.attributes),
        total_resources=tuple(_resource(r) for r in asked.resources),
        container_instance_arn=asked.instance_arn,
        tags=tuple(WireTag(key, value) for key, value in asked.tags),
        platform_devices=tuple(WireDevice(one, GPU) for one in asked.gpus.ids),
    )


def to_registered(answer: RegisterContainerInstanceAnswer) -> Registered:
    """What the agent reads of the answer; an ARN that is missing is ``""``."""
    instance = answer.container_instance
    attributes = tuple(Attribute(a.name, a.value or "") for a in instance.attributes or ())
    return Registered(instance.container_instance_arn or "", attributes, instance.status or "")


def to_submission(report: TaskReport, cluster: str) -> tuple[str, Request]:
    """The action and the request for *report*. The same report gives the same bytes, whenever it is sent."""
    attached = (AttachmentStateChange(report.attachment, ATTACHED),)
    if not report.attachment:
        return "SubmitTaskStateChange", to_state_change(report, cluster)
    if report.task:
        return "SubmitTaskStateChange", SubmitTaskAttachments(cluster, report.task, attached)
    return "SubmitAttachmentStateChanges", SubmitAttachmentStateChanges(cluster, attached)


def to_state_change(report: TaskReport, cluster: str) -> SubmitTaskStateChange:
    """The request for *report*. The same report gives the same bytes, whenever it is sent."""
    return SubmitTaskStateChange(
        cluster=cluster,
        task=report.task,
        status=report.status.told,
        reason=shortened(report.reason),
        containers=tuple(_container(c) for c in report.containers),
        pull_started_at=_seconds(report.pull_started_at),
        pull_stopped_at=_seconds(report.pull_stopped_at),
        execution_stopped_at=_seconds(report.execution_stopped_at),
    )


def _resource(resource: Resource) -> WireResource:
    if resource.strings is not None:
        return WireResource(resource.name, "STRINGSET", string_set_value=resource.strings)
    return WireResource(resource.name, "INTEGER", integer_value=resource.integer or None)


def _container(report: ContainerReport) -> ContainerStateChange:
    return ContainerStateChange(
        container_name=report.name,
        status=report.status.told,
        network_bindings=tuple(_binding(one) for one in report.bindings),
        runtime_id=report.docker_id,
        exit_code=report.exit_code,
        reason=shortened(report.reason),
        image_digest=report.image_digest,
    )


def _binding(binding: Binding) -> WireBinding:
    if binding.count == 1:
        return WireBinding(
            binding.bind_ip,
            binding.transport.value,
            container_port=binding.container_port,
            host_port=binding.host_port,
        )
    return WireBinding(
        binding.bind_ip,
        binding.transport.value,
        container_port_range=_range(binding.container_port, binding.count),
        host_port_range=_range(binding.host_port, binding.count),
    )


def _range(first: int, count: int) -> str:
    return f"{first}-{first + count - 1}"


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else round(at.timestamp(), 3)
