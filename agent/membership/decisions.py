"""Who we are, what we register as, and what an answer means. Nothing here waits, reads or draws."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from agent.model.devices import NO_GPUS, Gpus
from agent.model.errors import NOT_WORTH_A_RESTART, Fatal
from agent.model.identity import Attribute, Identity, Resource, Trace
from agent.model.registration import Registered, Registration, RegistrationFailure

DEFAULT_CLUSTER = "default"
ZONE = "ecs.availability-zone"

PASSING = frozenset({"ThrottlingException", "ServerException", "LimitExceededException"})
REFUSED = frozenset({"InvalidParameterException", "ClientException"})
NO_CLUSTER = "ClusterNotFoundException"
NO_CLUSTER_TEXT = "Cluster not found."
_COLONS = 5
"""In an ARN: partition, service, region, account, and what it names."""
TYPE_CHANGED = "Container instance type changes are not supported."


@dataclass(frozen=True, slots=True)
class MembershipSettings:
    """What the operator says of this instance. An empty `cluster` means ``default``, made if it is not there."""

    cluster: str = ""
    attributes: tuple[Attribute, ...] = ()
    """The operator's own; ECS hears of them at the first registration only."""
    tags: tuple[tuple[str, str], ...] = ()
    identity_path: str = "the identity file"
    """Where the identity is kept, for messages."""
    home: str = ""
    """The data directory, as the labels of containers have it."""

    @property
    def cluster_name(self) -> str:
        """The cluster as every call names it."""
        return self.cluster or DEFAULT_CLUSTER


@dataclass(frozen=True, slots=True)
class Draws:
    """Chance, drawn at the edge."""

    agent_id: str
    client_token: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What is told of this machine in one attempt."""

    resources: Sequence[Resource]
    attributes: Sequence[Attribute]
    document: str = ""
    signature: str = ""
    gpus: Gpus = NO_GPUS
    tags: Sequence[tuple[str, str]] = ()
    """Those that the machine itself has; the operator's come over them."""


class Reaction(StrEnum):
    """What to do about a registration that failed."""

    WAIT = "wait"
    """The same call may work later."""
    CREATE_CLUSTER = "create cluster"
    EXIT = "exit"


def recall(saved: Identity | None, settings: MembershipSettings, ec2_instance_id: str, draws: Draws) -> Identity:
    """The identity to register with. One that is registered in another cluster is a candidate for the new one.

    A saved identity that woke up on another EC2 instance (a copied disk) is not ours: a new one is made. Who only
    moves keeps the name of the agent, and with it tasks, containers and reports that are still to be sent.
    """
    if saved is None or _is_elsewhere(saved, ec2_instance_id):
        return Identity(draws.agent_id, settings.cluster_name, "", draws.client_token, "", ec2_instance_id)
    here = replace(saved, cluster=settings.cluster_name, ec2_instance_id=ec2_instance_id or saved.ec2_instance_id)
    if is_same_cluster(saved, settings):
        token = saved.client_token or ("" if saved.instance_arn else draws.client_token)
        return replace(here, client_token=token)
    # A token may have been used already, in the cluster it was drawn for and in no other.
    return replace(here, instance_arn="", client_token=draws.client_token, availability_zone="", drained=False)


def is_moving(saved: Identity | None, settings: MembershipSettings, ec2_instance_id: str) -> bool:
    """Is this instance registered in another cluster than the one that it is to join?"""
    if saved is None or not saved.instance_arn or _is_elsewhere(saved, ec2_instance_id):
        return False
    return not is_same_cluster(saved, settings)


def is_same_cluster(saved: Identity, settings: MembershipSettings) -> bool:
    """Is the cluster of *saved* the one of *settings*, whether by name or by ARN?"""
    one, other = saved.cluster, settings.cluster_name
    if one == other:
        return True
    places = {place for place in (_place(one), _place(other), _place(saved.instance_arn)) if place}
    return _name(one) == _name(other) and len(places) == 1


def cannot_move(saved: Identity, settings: MembershipSettings, tasks: int) -> Fatal:
    """Why an instance on which tasks live does not go to another cluster, and what can be done."""
    return Fatal(
        f"ECS_CLUSTER is {settings.cluster_name!r}, but this machine is registered as {saved.instance_arn} in "
        f"{saved.cluster!r}, and {tasks} of its tasks {'lives' if tasks == 1 else 'live'} here. Either set ECS_CLUSTER "
        f"back to {saved.cluster!r}, or leave that cluster with `dockworker leave --force`, which ends these tasks and "
        f"deregisters the instance; the next start then joins {settings.cluster_name!r}",
        NOT_WORTH_A_RESTART,
    )


def recovered(
    traces: Iterable[Trace], settings: MembershipSettings, is_alive: Callable[[str], bool]
) -> Identity | None:
    """Who made the newest container that tells of our data directory and our cluster, and is nobody alive."""
    told = [trace for trace in traces if trace.home == settings.home and trace.home and trace.instance_arn]
    for trace in sorted(told, key=lambda one: one.created_at, reverse=True):
        identity = Identity(trace.agent_id, trace.cluster, trace.instance_arn)
        if is_same_cluster(identity, settings) and not is_alive(trace.agent_id):
            return replace(identity, cluster=settings.cluster_name)
    return None


def registration(identity: Identity, settings: MembershipSettings, offer: Offer, token: str) -> Registration:
    """The request. *token* serves a re-registration; a first one has its own, saved beforehand."""
    first = not identity.instance_arn
    return Registration(
        cluster=identity.cluster,
        client_token=identity.client_token if first else token,
        instance_arn=identity.instance_arn,
        resources=tuple(offer.resources),
        attributes=(*(settings.attributes if first else ()), *offer.attributes),
        tags=tuple((dict(offer.tags) | dict(settings.tags)).items()),
        identity_document=offer.document,
        identity_signature=offer.signature,
        gpus=offer.gpus,
    )


def reaction(failure: RegistrationFailure, settings: MembershipSettings, *, may_create: bool) -> Reaction:
    """What to do about *failure*. A cluster is made only where the operator named none, and once."""
    missing = failure.code == NO_CLUSTER or NO_CLUSTER_TEXT in failure.message
    if missing and not settings.cluster and may_create:
        return Reaction.CREATE_CLUSTER
    return Reaction.WAIT if failure.code in PASSING else Reaction.EXIT


def exit_for(failure: RegistrationFailure, identity: Identity, settings: MembershipSettings) -> Fatal:
    """How the process ends over *failure*: without a restart only if a restart cannot help."""
    text = f"cannot register with cluster {identity.cluster!r}: {failure}"
    if not is_refusal(failure, identity):
        return Fatal(text)
    if identity.instance_arn:
        text += (
            f". This machine was {identity.instance_arn}; if ECS no longer knows that instance, move "
            f"{settings.identity_path} away to register a new one"
        )
    return Fatal(text, NOT_WORTH_A_RESTART)


def is_refusal(failure: RegistrationFailure, identity: Identity) -> bool:
    """Did ECS say no to what we asked, rather than fail to answer?"""
    return failure.code in REFUSED or (bool(identity.instance_arn) and TYPE_CHANGED in failure.message)


def check_echo(asked: Registration, answer: Registered, settings: MembershipSettings) -> None:
    """Raise Fatal unless every attribute that was sent with a value came back with it (the echo rule)."""
    known = {attribute.name: attribute.value for attribute in answer.attributes}
    lost = [a for a in asked.attributes if known.get(a.name, "") != a.value]
    if not lost:
        return
    listed = ", ".join(f"{a.name} (sent {a.value!r}, got {known.get(a.name, '')!r})" for a in lost)
    hint = ". See ECS_INSTANCE_ATTRIBUTES" if set(lost) & set(settings.attributes) else ""
    raise Fatal(f"ECS did not take these attributes: {listed}{hint}", NOT_WORTH_A_RESTART)


def registered(identity: Identity, answer: Registered) -> Identity:
    """The identity after *answer*. A re-registration keeps its ARN, whatever the answer says."""
    arn = identity.instance_arn or answer.instance_arn
    if not arn:
        raise Fatal("ECS registered this machine but gave no containerInstanceArn")
    zone = next((a.value for a in answer.attributes if a.name == ZONE), identity.availability_zone)
    return replace(identity, instance_arn=arn, client_token="", availability_zone=zone)


def _place(arn: str) -> tuple[str, ...]:
    """Partition, service, region and account of an ARN; nothing of a name."""
    return tuple(arn.split(":")[1:5]) if arn.startswith("arn:") and arn.count(":") >= _COLONS else ()


def _name(cluster: str) -> str:
    return cluster.rpartition("/")[2]


def _is_elsewhere(saved: Identity, ec2_instance_id: str) -> bool:
    return bool(saved.ec2_instance_id and ec2_instance_id and saved.ec2_instance_id != ec2_instance_id)
