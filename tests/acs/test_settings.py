import pytest

from agent.acs.settings import AcsSettings, session_url
from agent.model.errors import BadInput
from tests.wire.acs_samples import INSTANCE

SETTINGS = AcsSettings("demo", INSTANCE, agent_version="1.105.1", agent_hash="a8b3e7d3", docker_version="25.0.14")


def test_the_address_is_letter_by_letter_that_of_the_protocol() -> None:
    assert session_url("https://acs.test.example/", SETTINGS, send_credentials=True) == (
        "https://acs.test.example/ws?agentHash=a8b3e7d3&agentVersion=1.105.1&clusterArn=demo&containerInstanceArn="
        "arn%3Aaws%3Aecs%3Aus-west-2%3A111122223333%3Acontainer-instance%2Fdemo%2F0123456789abcdef0123456789abcdef"
        "&dockerVersion=DockerVersion%3A+25.0.14&protocolVersion=2&sendCredentials=true&seqNum=1"
    )


def test_a_slash_at_the_end_of_the_endpoint_makes_no_difference() -> None:
    with_slash, without = (session_url(e, SETTINGS, send_credentials=False) for e in ("http://h:1/", "http://h:1"))

    assert with_slash == without
    assert "&sendCredentials=false&" in without


def test_an_unknown_version_of_docker_is_left_out() -> None:
    settings = AcsSettings("demo", INSTANCE, agent_version="1", agent_hash="a")

    assert "docker" not in session_url("http://h", settings, send_credentials=True)


@pytest.mark.parametrize(
    "endpoint", ["", "acs.test.example", "ws://h", "wss://h/", "http://", "http://[", "http://h:x"]
)
def test_an_endpoint_that_is_no_http_url_is_refused(endpoint: str) -> None:
    with pytest.raises(BadInput, match="endpoint: must be a URL that begins with http"):
        session_url(endpoint, SETTINGS, send_credentials=True)
