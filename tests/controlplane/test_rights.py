"""An agent's key pair opens what agents need, for the instances that it registered, and nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from agent.controlplane.faults import Fault
from agent.controlplane.keys_driver import KeyPair, mint_agent_key
from agent.controlplane.operations import ACTIONS, OPERATIONS
from agent.controlplane.rights import FOR_AGENTS, OPERATOR, check_action
from tests.controlplane.desk import Desk
from tests.controlplane.hand_agent import register
from tests.controlplane.house import House, running

OURS, THEIRS = "AKIAOURS", "AKIATHEIRS"
TOO_MUCH = "AccessDeniedException"


@pytest.fixture
def desk() -> Desk:
    """Two agents with a key pair each, and a task on the host of the first."""
    desk = Desk()
    desk.define()
    for desk.key in (THEIRS, OURS):
        desk.host()
    desk.key = OPERATOR
    desk.run()
    return desk


def host_of(desk: Desk, key: str) -> str:
    [found] = [arn for arn, instance in desk.plane.world.instances.items() if instance.agent_key == key]
    return found


def task_of(desk: Desk) -> str:
    [task] = desk.plane.world.tasks
    return task


def everything(host: str, task: str) -> dict[str, dict[str, Any]]:
    """A call of each action that names an instance or a task."""
    return {
        "RegisterContainerInstance": {"containerInstanceArn": host},
        "DiscoverPollEndpoint": {"containerInstance": host},
        "UpdateContainerInstancesState": {"containerInstances": [host], "status": "ACTIVE"},
        "SubmitTaskStateChange": {"task": task, "status": "RUNNING"},
        "SubmitContainerStateChange": {"task": task, "containerName": "web", "status": "RUNNING"},
        "ListTagsForResource": {"resourceArn": task},
        "DeregisterContainerInstance": {"containerInstance": host, "force": True},
    }


@pytest.mark.parametrize("action", list(everything("", "")))
def test_an_agent_acts_for_its_own_instance_and_for_no_other(desk: Desk, action: str) -> None:
    task = task_of(desk)
    owner = desk.plane.world.instances[desk.plane.world.tasks[task].instance]
    call = everything(owner.arn, task)[action]

    desk.key = THEIRS if owner.agent_key == OURS else OURS
    fault = desk.refused(action, **call)
    assert fault.code == TOO_MUCH
    assert f"ecs:{action} on resource: arn:aws:ecs" in str(fault)

    desk.key = owner.agent_key
    desk.call(action, **call)


def test_an_instance_named_by_its_id_is_found_out_all_the_same(desk: Desk) -> None:
    theirs = host_of(desk, THEIRS).rpartition("/")[2]
    desk.key = OURS

    fault = desk.refused("UpdateContainerInstancesState", containerInstances=[theirs], status="DRAINING")

    assert (fault.code, theirs in str(fault)) == (TOO_MUCH, True)


def test_an_agent_makes_the_default_cluster_alone_and_reads_no_tags_of_what_all_share(desk: Desk) -> None:
    shared = desk.call("DescribeClusters")["clusters"][0]["clusterArn"]
    desk.key = OURS

    assert desk.call("CreateCluster", clusterName="default")["cluster"]["clusterArn"] == shared
    assert desk.refused("CreateCluster", clusterName="more").code == TOO_MUCH
    assert desk.refused("ListTagsForResource", resourceArn=shared).code == TOO_MUCH
    assert desk.call("ListTagsForResource", resourceArn=host_of(desk, OURS)) == {"tags": []}


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_agents_may_call_what_agents_need_and_the_refusal_names_the_action(action: str) -> None:
    check_action(action, OPERATOR)
    check_action(action, "")
    if action in FOR_AGENTS:
        check_action(action, OURS)
        return
    with pytest.raises(Fault, match=rf"not authorized to perform: ecs:{action}$") as caught:
        check_action(action, OURS)
    assert caught.value.code == TOO_MUCH


def test_a_session_opens_for_the_owner_of_the_instance_alone(desk: Desk) -> None:
    theirs = host_of(desk, THEIRS)
    desk.key = OURS
    with pytest.raises(Fault, match="ecs:Poll") as caught:
        desk.connect(theirs, "stolen")
    assert caught.value.code == TOO_MUCH
    assert desk.plane.world.instances[theirs].connection == "one"
    desk.key = THEIRS
    desk.connect(theirs, "two")
    assert desk.plane.world.instances[theirs].connection == "two"


def test_the_same_client_token_of_another_key_is_another_registration() -> None:
    desk = Desk()
    desk.key = OURS
    ours = desk.register(clientToken="token")
    desk.key = THEIRS

    assert desk.register(clientToken="token") != ours


def test_an_instance_of_before_keys_were_noted_belongs_to_the_first_agent_that_registers_it_again() -> None:
    desk = Desk()
    arn = desk.register()
    desk.key = OURS
    desk.connect(arn)

    desk.register(containerInstanceArn=arn)

    desk.key = THEIRS
    assert desk.refused("RegisterContainerInstance", containerInstanceArn=arn).code == TOO_MUCH
    desk.key = OPERATOR
    desk.register(containerInstanceArn=arn)
    assert desk.plane.world.instances[arn].agent_key == OURS


def test_an_instance_of_before_keys_were_noted_belongs_to_the_first_agent_that_holds_a_session_for_it() -> None:
    """A control plane that is replaced by a newer one does not make its agents register again."""
    desk = Desk()
    arn = desk.register()
    desk.connect(arn)
    desk.key = OPERATOR
    desk.connect(arn, "by hand")
    desk.key = OURS
    desk.connect(arn, "two")

    desk.key = THEIRS
    with pytest.raises(Fault, match="ecs:Poll"):
        desk.connect(arn, "stolen")
    assert desk.refused("RegisterContainerInstance", containerInstanceArn=arn).code == TOO_MUCH


def test_what_the_operator_registers_no_agent_takes() -> None:
    desk = Desk()
    desk.key = OPERATOR
    arn = desk.register()
    desk.key = OURS

    assert desk.refused("RegisterContainerInstance", containerInstanceArn=arn).code == TOO_MUCH


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("plane")) as house:
        yield house


def test_a_key_that_is_made_while_the_control_plane_runs_is_taken_at_once(house: House) -> None:
    ours, theirs = (house.client(mint_agent_key(house.data_dir)) for _ in range(2))

    arn = register(ours, cluster="default")

    assert register(ours, cluster="default", containerInstanceArn=arn) == arn
    with pytest.raises(ClientError, match=r"AccessDenied.*ecs:DeregisterContainerInstance on resource"):
        theirs.deregister_container_instance(containerInstance=arn)
    with pytest.raises(ClientError, match=r"AccessDenied.*ecs:RunTask"):
        theirs.run_task(taskDefinition="web")


def test_a_file_of_keys_that_was_given_another_name_is_not_believed(house: House) -> None:
    pair, other = mint_agent_key(house.data_dir), mint_agent_key(house.data_dir)
    folder = house.data_dir / "agent-keys"
    (folder / f"{pair.access_key_id}.json").replace(folder / f"{other.access_key_id}.json")

    with pytest.raises(ClientError, match="KeyFileUnreadable"):
        house.client(KeyPair(other.access_key_id, pair.secret_access_key)).list_clusters()


def test_a_key_whose_file_is_taken_away_is_nobodys_at_once(house: House) -> None:
    pair = mint_agent_key(house.data_dir)
    client = house.client(pair)
    client.discover_poll_endpoint()

    (house.data_dir / "agent-keys" / f"{pair.access_key_id}.json").unlink()

    with pytest.raises(ClientError, match="UnrecognizedClient"):
        client.discover_poll_endpoint()


@pytest.mark.parametrize("key_id", ["AKIA" + "A" * 16, "../keys", "AKIA", "AKIA" + "a" * 16])
def test_a_key_that_was_never_made_is_nobodys(house: House, key_id: str) -> None:
    with pytest.raises(ClientError, match="UnrecognizedClient"):
        house.client(KeyPair(key_id.replace("/", "-"), "x")).list_clusters()


def test_the_file_of_a_key_is_its_owners_alone_and_damage_to_it_is_told(house: House) -> None:
    pair = mint_agent_key(house.data_dir)
    path = house.data_dir / "agent-keys" / f"{pair.access_key_id}.json"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{}")

    with pytest.raises(ClientError, match="KeyFileUnreadable") as caught:
        house.client(pair).list_clusters()

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert pair.secret_access_key not in str(caught.value)


def test_every_action_for_agents_exists() -> None:
    assert set(everything("", "")) <= FOR_AGENTS & set(OPERATIONS)


def test_no_secret_is_in_the_records(house: House) -> None:
    pair = mint_agent_key(house.data_dir)
    register(house.client(pair), cluster="default")

    stored = b"".join(path.read_bytes() for path in house.data_dir.glob("controlplane.db*"))

    assert pair.access_key_id.encode() in stored
    assert pair.secret_access_key.encode() not in stored
