"""Keys of roles are known again by their seal, open the protection of one task, and nothing else."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from mypy_boto3_ecs import ECSClient

from agent.controlplane.faults import Fault
from agent.controlplane.keys_driver import KeyPair, KeyPairs
from agent.controlplane.operations import ACTIONS
from agent.controlplane.rights import FOR_TASKS, ROLE, check_action
from agent.controlplane.role_keys import seal, secret_of, unseal
from agent.controlplane.roles import Role, RoleKeys
from agent.wire.acs_spec import EXECUTION_ROLE, TASK_ROLE
from tests.controlplane.desk import Desk
from tests.controlplane.house import SETTLED, House, running

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
PAIRS = KeyPairs(KeyPair("AKIAOPERATOR", "operator's secret"), KeyPair("AKIAAGENT", "agent's secret"))
SECRET = secret_of(PAIRS)
TASK = "arn:aws:ecs:us-east-1:123456789012:task/demo/0a1b"
SHOP = Role(TASK, TASK_ROLE, "arn:aws:iam::123456789012:role/shop", "id")


def test_what_was_sealed_is_known_again_with_the_same_keys() -> None:
    keys = seal(SECRET, SHOP, NOON, "draw")

    found = unseal(SECRET, keys.session_token)

    assert found is not None
    claims, again = found
    assert (claims.task, claims.role_arn, claims.expires_at, claims.is_of_the_task) == (TASK, SHOP.role_arn, NOON, True)
    assert again == keys
    assert keys.access_key_id.startswith("ASIA")
    assert len({keys.access_key_id, keys.secret_access_key, keys.session_token}) == 3


def test_each_set_of_keys_is_another() -> None:
    sets = [
        seal(SECRET, SHOP, NOON, "one"),
        seal(SECRET, SHOP, NOON, "two"),
        seal(SECRET, SHOP, NOON + timedelta(seconds=1), "one"),
        seal(SECRET, replace(SHOP, role_type=EXECUTION_ROLE), NOON, "one"),
        seal(SECRET, replace(SHOP, task=TASK + "c"), NOON, "one"),
        seal(secret_of(replace(PAIRS, operator=KeyPair("AKIAOPERATOR", "another"))), SHOP, NOON, "one"),
    ]

    for member in ("access_key_id", "secret_access_key", "session_token"):
        assert len({getattr(one, member) for one in sets}) == len(sets)


def test_keys_print_no_values_and_the_id_of_the_credentials_is_in_no_token() -> None:
    keys = seal(SECRET, replace(SHOP, credentials_id="0dd-1d"), NOON, "draw")
    body = keys.session_token.partition(".")[0]

    assert not any(value in repr(keys) for value in (keys.secret_access_key, keys.session_token, keys.access_key_id))
    assert b"0dd-1d" not in base64.urlsafe_b64decode(body + "==")


def forged(token: str) -> list[str]:
    body, _, mark = token.partition(".")
    other = json.loads(base64.urlsafe_b64decode(body + "=="))
    other["task"] += "f"
    longer = base64.urlsafe_b64encode(json.dumps(other).encode()).decode().rstrip("=")
    return ["", ".", body, f"{body}.", f"{longer}.{mark}", f"{body}.{mark[:-2]}", f"{body}x.{mark}", "é.é", "x" * 9000]


def test_a_token_that_was_not_made_here_says_nothing() -> None:
    keys = seal(SECRET, SHOP, NOON, "draw")

    assert [unseal(SECRET, token) for token in forged(keys.session_token)] == [None] * 9
    assert unseal(secret_of(replace(PAIRS, operator=PAIRS.agent)), keys.session_token) is None


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_a_task_may_ask_for_protection_alone_and_an_execution_role_for_nothing(action: str) -> None:
    if action in FOR_TASKS:
        check_action(action, ROLE + TASK)
    else:
        with pytest.raises(Fault, match=rf"The role of the task is not authorized to perform: ecs:{action}$"):
            check_action(action, ROLE + TASK)
    with pytest.raises(Fault, match=rf"not authorized to perform: ecs:{action}$"):
        check_action(action, ROLE)


def test_a_task_speaks_for_no_other_also_not_for_one_that_does_not_exist() -> None:
    desk = Desk()
    desk.define()
    desk.host(memory=1000)
    own, other = desk.run(group="service:web"), desk.run(group="service:web")
    desk.key = ROLE + own

    assert desk.call("GetTaskProtection", cluster="default", tasks=[own])["failures"] == []
    assert desk.call("UpdateTaskProtection", cluster="default", tasks=[own.rpartition("/")[2]], protectionEnabled=True)
    for names in ([other], [own, other], [other.rpartition("/")[2]], ["f" * 32]):
        fault = desk.refused("UpdateTaskProtection", cluster="default", tasks=names, protectionEnabled=True)
        assert (fault.code, "ecs:UpdateTaskProtection on resource: " in str(fault)) == ("AccessDeniedException", True)
    assert desk.plane.world.tasks[other].protected_until is None


def test_keys_of_a_role_open_no_session_also_not_of_an_instance_that_nobody_owns() -> None:
    desk = Desk()
    arn = desk.register()
    desk.key = ROLE + TASK

    with pytest.raises(Fault, match="ecs:Poll on resource") as caught:
        desk.connect(arn)

    assert caught.value.code == "AccessDeniedException"
    assert desk.plane.world.instances[arn].agent_key == ""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("plane")) as house:
        yield house


def client_with(house: House, keys: RoleKeys) -> ECSClient:
    return boto3.client(
        "ecs",
        endpoint_url=house.url,
        region_name="us-east-1",
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        aws_session_token=keys.session_token,
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=SETTLED, read_timeout=SETTLED),
    )


def minted(house: House, *, hours: float = 1, role_type: str = TASK_ROLE) -> RoleKeys:
    role = replace(SHOP, role_type=role_type)
    return seal(secret_of(house.keys), role, datetime.now(UTC) + timedelta(hours=hours), "draw")


def code_of(client: ECSClient, task: str = TASK) -> str:
    with pytest.raises(ClientError) as caught:
        client.get_task_protection(cluster="demo", tasks=[task])
    return str(caught.value.response["Error"]["Code"])


def test_the_control_plane_takes_its_own_keys_until_they_expire(house: House) -> None:
    house.client().create_cluster(clusterName="demo")

    answer = client_with(house, minted(house)).get_task_protection(cluster="demo", tasks=[TASK])

    assert answer["failures"] == [{"arn": TASK, "reason": "MISSING"}]
    assert code_of(client_with(house, minted(house, hours=-1))) == "ExpiredTokenException"
    assert code_of(client_with(house, minted(house, role_type=EXECUTION_ROLE))) == "AccessDeniedException"
    assert code_of(client_with(house, minted(house)), TASK + "c") == "AccessDeniedException"


def test_keys_that_do_not_go_together_are_nobodys(house: House) -> None:
    keys, others = minted(house), seal(SECRET, SHOP, datetime.now(UTC) + timedelta(hours=1), "draw")

    assert code_of(client_with(house, others)) == "UnrecognizedClientException"
    assert code_of(client_with(house, replace(keys, session_token=""))) == "UnrecognizedClientException"
    assert code_of(client_with(house, replace(keys, session_token="not ours.é".encode().decode("latin-1")[:9]))) == (
        "UnrecognizedClientException"
    )
    assert code_of(client_with(house, replace(keys, access_key_id="ASIA" + "A" * 16))) == "UnrecognizedClientException"
    assert code_of(client_with(house, replace(keys, secret_access_key="guessed"))) == "InvalidSignatureException"


def test_the_keys_of_a_role_register_nothing_and_read_nothing(house: House) -> None:
    client = client_with(house, minted(house))

    for action in (client.list_clusters, client.register_container_instance, client.describe_clusters):
        with pytest.raises(ClientError, match=r"AccessDeniedException.*not authorized to perform: ecs:"):
            action()
