"""The API over real HTTP: boto3 and the AWS CLI as they come from PyPI."""

import gzip
import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from agent.controlplane.keys_driver import KeyPair, env_file_text
from agent.controlplane.settings import Cadence
from tests.controlplane.hand_agent import register
from tests.controlplane.house import House, aws, running

TARGET = "AmazonEC2ContainerServiceV20141113."


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("plane")) as house:
        yield house


def signed(
    house: House, action: str, body: bytes = b"{}", pair: KeyPair | None = None, **headers: str
) -> dict[str, str]:
    """Headers as botocore signs them."""
    pair = pair or house.keys.operator
    request = AWSRequest("POST", f"{house.url}/", {"X-Amz-Target": action, **headers}, body)
    SigV4Auth(Credentials(pair.access_key_id, pair.secret_access_key), "ecs", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def post(house: House, headers: dict[str, str], body: bytes = b"{}", method: str = "POST") -> tuple[int, Any]:
    connection = http.client.HTTPConnection(house.address.host, house.address.port, timeout=10)
    try:
        connection.request(method, "/", body, headers)
        answer = connection.getresponse()
        assert answer.getheader("x-amzn-RequestId")
        assert answer.getheader("Content-Type") == "application/x-amz-json-1.1"
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_a_signed_call_is_answered(house: House) -> None:
    assert post(house, signed(house, TARGET + "ListClusters")) == (200, {"clusterArns": []})


def test_what_is_not_signed_well_is_refused_and_changes_nothing(house: House) -> None:
    action, body = TARGET + "CreateCluster", b'{"clusterName": "evil"}'
    good = signed(house, action, body)
    operator = house.keys.operator
    stranger = KeyPair("AKIASTRANGER", operator.secret_access_key)
    liar = KeyPair(operator.access_key_id, "wrong")
    cases: list[tuple[dict[str, str], bytes, int, str]] = [
        ({"X-Amz-Target": action}, body, 403, "MissingAuthenticationTokenException"),
        (signed(house, action, body, stranger), body, 403, "UnrecognizedClientException"),
        (signed(house, action, body, liar), body, 403, "InvalidSignatureException"),
        (good, b'{"clusterName": "more"}', 403, "InvalidSignatureException"),
        (good | {"X-Amz-Target": TARGET + "DeleteCluster"}, body, 403, "InvalidSignatureException"),
        (good | {"Host": "evil.example"}, body, 403, "InvalidSignatureException"),
        (good | {"Authorization": "AWS4-HMAC-SHA256 nonsense"}, body, 400, "IncompleteSignatureException"),
        (good | {"Authorization": "Bearer x"}, body, 400, "IncompleteSignatureException"),
        (good | {"Origin": "http://evil.example"}, body, 403, "AccessDeniedException"),
        (good | {"Origin": "null"}, body, 403, "AccessDeniedException"),
    ]
    for headers, sent, status, code in cases:
        answer = post(house, headers, sent)
        assert (answer[0], answer[1]["__type"]) == (status, code), headers
    assert post(house, signed(house, TARGET + "ListClusters")) == (200, {"clusterArns": []})


def test_a_signature_lives_for_five_minutes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for minutes, expected in ((-6, 400), (-4, 200), (4, 200), (6, 400)):
        moment = datetime.now(UTC) + timedelta(minutes=minutes)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda moment=moment: moment)
        status, answer = post(house, signed(house, TARGET + "ListClusters"))
        assert status == expected
        assert status == 200 or answer["__type"] == "InvalidSignatureException"


def test_the_agents_keys_open_only_what_agents_need(house: House) -> None:
    agents = house.client(house.keys.agent)

    assert register(agents, cluster="default")
    for refused in (agents.list_tasks, lambda: agents.run_task(taskDefinition="web")):
        with pytest.raises(ClientError) as caught:
            refused()
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_actions_that_are_not_there_are_refused_honestly(house: House) -> None:
    for action, code, text in (
        ("CreateService", "ClientException", "Dockworker does not implement CreateService yet"),
        ("CreateDaemon", "UnknownOperationException", "CreateDaemon"),
        ("", "UnknownOperationException", "''"),
    ):
        status, answer = post(house, signed(house, TARGET + action))
        assert (status, answer["__type"]) == (400, code)
        assert text in answer["message"]
    status, answer = post(house, signed(house, "SomethingElse.ListClusters"))
    assert (status, answer["__type"]) == (400, "UnknownOperationException")


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b"\xff", b'{"clusters": 5}', b"[" * 100_000, b'{"include": [null]}']
)
def test_a_body_that_is_not_the_right_json_is_a_serialization_error(house: House, body: bytes) -> None:
    status, answer = post(house, signed(house, TARGET + "DescribeClusters", body), body)

    assert (status, answer["__type"]) == (400, "SerializationException")


def test_a_body_that_is_too_long_is_refused(house: House) -> None:
    body = b'{"clusterName": "' + b"x" * 300_000 + b'"}'

    status, answer = post(house, signed(house, TARGET + "CreateCluster", body), body)

    assert (status, answer["__type"]) == (413, "RequestEntityTooLargeException")


def test_an_empty_body_asks_for_nothing_in_particular(house: House) -> None:
    assert post(house, signed(house, TARGET + "ListTaskDefinitions", b""), b"") == (200, {"taskDefinitionArns": []})


def test_each_region_is_a_world_of_its_own(house: House) -> None:
    there = house.client(region="eu-central-1")

    made = there.create_cluster(clusterName="far")["cluster"]

    assert made["clusterArn"] == "arn:aws:ecs:eu-central-1:123456789012:cluster/far"
    assert there.list_clusters()["clusterArns"] == [made["clusterArn"]]
    assert made["clusterArn"] not in house.client().list_clusters()["clusterArns"]


def test_the_poll_endpoint_is_where_the_call_went(house: House) -> None:
    body = b'{"cluster": "demo", "containerInstance": "arn:x", "zoneId": ""}'

    answer = post(house, signed(house, TARGET + "DiscoverPollEndpoint", body), body)

    assert answer == (200, {"endpoint": f"{house.url}/", "telemetryEndpoint": f"{house.url}/telemetry/"})


def test_the_aws_cli_runs_waits_and_is_told_of_failures(house: House) -> None:
    made = aws(house, "create-cluster", "--cluster-name", "cli")
    assert json.loads(made.stdout)["cluster"]["status"] == "ACTIVE"
    failed = aws(house, "run-task", "--cluster", "cli", "--task-definition", "none")
    assert failed.returncode == 255
    assert "ClientException" in failed.stderr
    gone = aws(house, "wait", "tasks-running", "--cluster", "cli", "--tasks", "0" * 32)
    assert gone.returncode == 255
    assert "MISSING" in gone.stderr


def test_the_env_file_is_all_that_the_aws_cli_needs(house: House, tmp_path: Path) -> None:
    env = tmp_path / "env"
    env.write_text(env_file_text(house.keys.operator, "us-east-1", house.url))
    cli = Path(sys.executable).with_name("aws")

    done = subprocess.run(
        ["sh", "-c", f". {env} && {cli} ecs list-clusters"], capture_output=True, text=True, timeout=60, check=True
    )

    assert "clusterArns" in json.loads(done.stdout)


def test_without_authentication_everybody_is_the_operator_of_one_region(tmp_path: Path) -> None:
    with running(tmp_path, auth=False, region="ap-south-1", account="999999999999") as house:
        headers = {"X-Amz-Target": TARGET + "CreateCluster"}
        status, answer = post(house, headers)
        assert status == 200
        assert answer["cluster"]["clusterArn"] == "arn:aws:ecs:ap-south-1:999999999999:cluster/default"
        assert post(house, headers | {"Origin": "http://evil.example"})[0] == 403
        stranger = house.client(KeyPair("AKIASTRANGER", "x"), region="eu-west-1")
        assert stranger.list_clusters()["clusterArns"] == []


def test_other_methods_and_paths_are_no_calls(house: House) -> None:
    assert post(house, signed(house, ""), method="PUT")[0] == 403
    status, answer = post(house, signed(house, "x"))
    assert (status, answer["__type"]) == (400, "UnknownOperationException")


@pytest.mark.parametrize("name", [b"X-Amz-Target", b"Authorization"])
def test_odd_bytes_in_a_header_get_an_answer(house: House, name: bytes) -> None:
    headers = {key.encode(): value.encode() for key, value in signed(house, TARGET + "ListClusters").items()}
    headers[name] += b"\xff"
    lines = [b"POST / HTTP/1.1", b"Host: 127.0.0.1", b"Content-Length: 2", b"Connection: close"]
    lines += [key + b": " + value for key, value in headers.items()]
    with socket.create_connection((house.address.host, house.address.port), timeout=10) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n{}")
        answer = connection.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"InvalidSignatureException" in answer


def test_a_packed_body_is_never_unpacked(house: House) -> None:
    body = gzip.compress(b"{}")
    headers = signed(house, TARGET + "ListClusters", body) | {"Content-Encoding": "gzip"}

    assert post(house, headers, body) == (400, {"__type": "SerializationException", "message": "The body is not JSON"})


def test_who_never_finishes_a_request_is_hung_up_on(tmp_path: Path) -> None:
    with (
        running(tmp_path, Cadence(heartbeat=0.3, resend=0.2, silence=0.4)) as house,
        socket.create_connection((house.address.host, house.address.port), timeout=10) as slow,
    ):
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")

        assert slow.recv(100) == b""
