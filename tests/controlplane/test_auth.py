from datetime import UTC, datetime, timedelta

import pytest

from agent.controlplane.auth import SignedRequest, canonical, read_signature, verify
from agent.controlplane.faults import Fault

QUERY = (
    "agentHash=a8b3e7d3&agentVersion=1.105.1&clusterArn=demo&containerInstanceArn=arn%3Aaws%3Aecs%3Aus-west-2"
    "%3A111122223333%3Acontainer-instance%2Fdemo%2F0123456789abcdef0123456789abcdef&dockerVersion=DockerVersion%3A+25.0.14"
    "&protocolVersion=2&sendCredentials=true&seqNum=1"
)
SIGNATURE = "fc565e0db710a51e483ac0d116872d79f3e970cd9a301208e7e50be5ec1521a2"
SECRETS = {"AKIDEXAMPLE": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def upgrade(**changes: str) -> SignedRequest:
    """The published test vector of an agent's upgrade request."""
    headers = {
        "host": "acs.test.example",
        "x-amz-date": "20260115T120000Z",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260115/us-west-2/ecs/aws4_request,"
        f" SignedHeaders=host;x-amz-date, Signature={SIGNATURE}",
    }
    return SignedRequest("GET", changes.pop("path", "/ws"), changes.pop("query", QUERY), headers | changes)


def test_the_test_vector_of_an_upgrade_request_is_good() -> None:
    signature = verify(upgrade(), SECRETS, NOW)

    assert (signature.key_id, signature.region) == ("AKIDEXAMPLE", "us-west-2")
    assert b"DockerVersion%3A%2025.0.14" in canonical(upgrade(), signature.signed)


def test_a_space_may_be_written_either_way() -> None:
    assert verify(upgrade(query=QUERY.replace("+", "%20")), SECRETS, NOW).region == "us-west-2"


@pytest.mark.parametrize(
    "changes",
    [
        {"query": QUERY.replace("seqNum=1", "seqNum=2")},
        {"query": QUERY + "&more="},
        {"path": "/"},
        {"host": "acs.test.example:443"},
    ],
)
def test_whatever_was_signed_cannot_be_changed(changes: dict[str, str]) -> None:
    with pytest.raises(Fault) as caught:
        verify(upgrade(**changes), SECRETS, NOW)
    assert caught.value.code == "InvalidSignatureException"


def test_a_signature_must_cover_the_host_the_date_and_the_action() -> None:
    for headers, missing in (
        ({"authorization": upgrade().headers["authorization"].replace("host;", "")}, "host"),
        ({"x-amz-target": "AmazonEC2ContainerServiceV20141113.RunTask"}, "x-amz-target"),
    ):
        with pytest.raises(Fault, match=missing) as caught:
            read_signature({**upgrade().headers, **headers})
        assert caught.value.code == "IncompleteSignatureException"


def test_a_header_may_be_named_once_however_often_it_would_be_hashed() -> None:
    named = upgrade().headers["authorization"].replace("host;", "host;" + "x-long;" * 1000)

    with pytest.raises(Fault, match="each header once") as caught:
        verify(upgrade(authorization=named, **{"x-long": "a " * 4000}), SECRETS, NOW)
    assert caught.value.code == "IncompleteSignatureException"


def test_time_runs_out_on_both_sides() -> None:
    for minutes, words in (
        (-5, r"Signature not yet current: 20260115T120000Z is still later than 20260115T11\d{4}Z \(.* \+ 5 min\.\)"),
        (5, r"Signature expired: 20260115T120000Z is now earlier than 20260115T12\d{4}Z \(.* - 5 min\.\)"),
    ):
        assert verify(upgrade(), SECRETS, NOW + timedelta(minutes=minutes)).key_id == "AKIDEXAMPLE"
        with pytest.raises(Fault, match=words) as caught:
            verify(upgrade(), SECRETS, NOW + timedelta(minutes=minutes, seconds=minutes // 5))
        assert (caught.value.code, caught.value.status) == ("InvalidSignatureException", 400)


def test_no_secret_is_in_a_repr() -> None:
    assert SIGNATURE not in repr(upgrade())
    assert SIGNATURE not in repr(read_signature(upgrade().headers))


def test_bytes_that_are_no_text_are_a_wrong_signature_and_no_bug() -> None:
    authorization = upgrade().headers["authorization"]
    for changes in (
        {"authorization": authorization + "\udcff"},
        {"authorization": authorization.replace("host;", "host;x-odd;"), "x-odd": "\udcff"},
    ):
        with pytest.raises(Fault) as refused:
            verify(upgrade(**changes), SECRETS, NOW)
        assert refused.value.code == "InvalidSignatureException"
