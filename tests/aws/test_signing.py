from hashlib import sha256

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from agent.aws.credentials_client import UpgradeSigner
from agent.aws.server_time_driver import ServerTime
from agent.aws.signing import canonical_url, host_of, signed_headers
from agent.model.credentials import SigningKeys
from tests.aws.peers import KEYS, NOON, REGION, SESSION_KEYS, FixedKeys, run

URL = (
    "http://acs.test.example/ws?agentHash=a8b3e7d3&agentVersion=1.105.1&clusterArn=demo&containerInstanceArn="
    "arn%3Aaws%3Aecs%3Aus-west-2%3A111122223333%3Acontainer-instance%2Fdemo%2F0123456789abcdef0123456789abcdef"
    "&dockerVersion=DockerVersion%3A+25.0.14&protocolVersion=2&sendCredentials=true&seqNum=1"
)
PUBLISHED = "fc565e0db710a51e483ac0d116872d79f3e970cd9a301208e7e50be5ec1521a2"


def upgrade(url: str, keys: FixedKeys | None = None) -> dict[str, str]:
    return run(UpgradeSigner(keys or FixedKeys(), REGION, ServerTime(lambda: NOON)).upgrade_headers(url))


def test_the_upgrade_of_the_published_vector_has_the_published_signature() -> None:
    assert upgrade(URL) == {
        "X-Amz-Date": "20260115T120000Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260115/us-west-2/ecs/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={PUBLISHED}",
    }


def test_the_request_of_the_published_vector_has_the_published_canonical_form() -> None:
    request = AWSRequest("GET", canonical_url(URL), headers={"X-Amz-Date": "20260115T120000Z"})
    request.context["timestamp"] = "20260115T120000Z"
    canonical = SigV4Auth(Credentials("AKIDEXAMPLE", "x"), "ecs", REGION).canonical_request(request)
    assert sha256(canonical.encode()).hexdigest() == "9bf1f8103efa80d63bf9f18854d03aa1402ce4e9143029294030acd8f13fab7d"


def test_a_default_port_is_no_part_of_what_is_signed() -> None:
    assert upgrade(URL.replace("example/", "example:80/")) == upgrade(URL)
    assert upgrade(URL.replace("example/", "example:8080/")) != upgrade(URL)


def test_a_session_token_is_sent_and_signed() -> None:
    headers = upgrade(URL, FixedKeys(SESSION_KEYS))

    assert headers["X-Amz-Security-Token"] == SESSION_KEYS.session_token
    assert "SignedHeaders=host;x-amz-date;x-amz-security-token," in headers["Authorization"]
    assert set(headers) == {"X-Amz-Date", "X-Amz-Security-Token", "Authorization"}


def test_a_call_is_signed_as_botocore_signs_it() -> None:
    named = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.X"}
    ours = signed_headers(
        "POST", "https://ecs.us-west-2.amazonaws.com/", named, b'{"a":1}', keys=SESSION_KEYS, region=REGION, now=NOON
    )

    theirs = AWSRequest("POST", "https://ecs.us-west-2.amazonaws.com/", headers=dict(named), data=b'{"a":1}')
    keys = Credentials(SESSION_KEYS.access_key_id, SESSION_KEYS.secret_access_key, SESSION_KEYS.session_token)
    signer = SigV4Auth(keys, "ecs", REGION)
    signer.add_auth(theirs)
    theirs.context["timestamp"] = "20260115T120000Z"  # the signer reads the clock; sign again at noon
    theirs.headers.replace_header("X-Amz-Date", "20260115T120000Z")
    del theirs.headers["Authorization"]
    text = signer.string_to_sign(theirs, signer.canonical_request(theirs))

    assert ours["Authorization"].endswith(f"Signature={signer.signature(text, theirs)}")


def test_a_plus_in_a_query_is_signed_as_the_space_it_means() -> None:
    assert canonical_url("http://h/ws?b=x+y&a=%2B&c=") == "http://h/ws?b=x%20y&a=%2B&c="


def test_keys_print_without_their_values() -> None:
    assert KEYS.secret_access_key not in repr(KEYS)
    assert KEYS.access_key_id not in repr(KEYS)


FRAME_URL = (
    "http://tcs.test.example/ws?agentHash=a8b3e7d3&agentVersion=1.105.1&cluster=demo&containerInstance="
    "arn%3Aaws%3Aecs%3Aus-west-2%3A111122223333%3Acontainer-instance%2Fdemo%2F0123456789abcdef0123456789abcdef"
    "&dockerVersion=25.0.14"
)
FRAME = (
    b'{"type":"PublishMetricsRequest","message":{"metadata":{"cluster":"demo","containerInstance":'
    b'"arn:aws:ecs:us-west-2:111122223333:container-instance/demo/0123456789abcdef0123456789abcdef",'
    b'"fin":true,"idle":true,"messageId":"5b0f7f0e-6c8e-4f4a-9d3e-0c7d9c7c2a11"},"timestamp":1768478400.123}}'
)
FRAME_SIGNATURE = "929c1010967431d2e9a867493eb150ace364ca537e77a8e5101c145b902a0931"


def test_the_frame_of_the_published_vector_has_the_published_signature() -> None:
    keys = FixedKeys(SigningKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "TOKENEXAMPLE"))
    signer = UpgradeSigner(keys, REGION, ServerTime(lambda: NOON))

    assert sha256(FRAME).hexdigest() == "c90b2a180255f0532c0de50762a0c755b095d2b14143426b5afa4bbb8cdd14af"
    assert run(signer.frame_headers(FRAME_URL, FRAME)) == {
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260115/us-west-2/ecs/aws4_request, "
        f"SignedHeaders=host;x-amz-date;x-amz-security-token, Signature={FRAME_SIGNATURE}",
        "Host": "tcs.test.example",
        "X-Amz-Date": "20260115T120000Z",
        "X-Amz-Security-Token": "TOKENEXAMPLE",
    }


def test_the_host_of_a_frame_has_its_port_unless_it_is_the_usual_one() -> None:
    urls = ["http://a.example:80/ws", "https://a.example:443/", "http://a.example:443/", "https://[::1]:8443/ws?a=b"]

    assert [host_of(url) for url in urls] == ["a.example", "a.example", "a.example:443", "[::1]:8443"]
