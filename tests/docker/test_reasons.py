import pytest

from agent.docker import reasons
from agent.model.errors import GiveUp, OutcomeUnknown, TryAgain

ENDPOINT = "driver failed programming external connectivity on endpoint ecs-shop-3-web-0123 (9f8e7d): "


@pytest.mark.parametrize(
    "text",
    [
        f"{ENDPOINT}Bind for 0.0.0.0:8080 failed: port is already allocated",
        f"{ENDPOINT}Bind for :::8080 failed: port is already allocated",
        f"{ENDPOINT}Error starting userland proxy: listen tcp4 0.0.0.0:8080: bind: address already in use",
        f"{ENDPOINT}Error starting userland proxy: listen udp6 [::]:8080: bind: address already in use",
        f"{ENDPOINT}failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/tcp: address already in use",
        f"{ENDPOINT}failed to bind host port 0.0.0.0:8080/tcp: address already in use",
    ],
)
def test_a_taken_port_is_read_from_every_wording(text: str) -> None:
    assert reasons.taken_port(text, {80, 8080}) == 8080


@pytest.mark.parametrize(
    "text",
    [
        'exec: "web:8080": executable file not found in $PATH',
        f"{ENDPOINT}Bind for 0.0.0.0:9090 failed: port is already allocated",
        "address already in use",
    ],
)
def test_no_port_is_read_where_none_of_ours_is_taken(text: str) -> None:
    assert reasons.taken_port(text, {8080}) is None


def test_private_values_go_and_public_ones_stay() -> None:
    text = "exec: server: no such file; token hunter2-long hunter2 in on"

    told = reasons.scrubbed(text, {"server", "hunter2", "hunter2-long", "on", ""}, {"server"})

    assert told == "exec: server: no such file; token *** *** in on"


@pytest.mark.parametrize("status", [400, 404, 409, 500])
def test_a_refused_create_is_given_up(status: int) -> None:
    told = reasons.of_making(reasons.CANNOT_CREATE, status, "no")

    assert isinstance(told, GiveUp)
    assert told.reason == "CannotCreateContainerError: no"


def test_a_busy_engine_is_asked_again() -> None:
    assert isinstance(reasons.of_making(reasons.CANNOT_START, 503, "later"), TryAgain)


def test_an_engine_that_goes_down_leaves_the_outcome_unknown() -> None:
    for text in ("context canceled", "OCI runtime: transport is closing", "daemon is shutting down"):
        assert isinstance(reasons.of_making(reasons.CANNOT_START, 500, text), OutcomeUnknown)
        assert isinstance(reasons.of_ending(reasons.CANNOT_STOP, 500, text), OutcomeUnknown)


def test_a_stop_is_not_given_up_for_trouble_of_dockers() -> None:
    assert isinstance(reasons.of_ending(reasons.CANNOT_STOP, 500, "no exit event"), TryAgain)
    assert isinstance(reasons.of_ending(reasons.CANNOT_REMOVE, 409, "it runs"), GiveUp)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("manifest for r.example/app:9 not found: manifest unknown: manifest unknown", 404),
        ("pull access denied for app, repository does not exist or may require 'docker login'", 404),
        ("unauthorized: authentication required", 0),
        ("no matching manifest for linux/amd64 in the manifest list entries", 0),
        ('Get "https://r.example/v2/": x509: certificate signed by unknown authority', 500),
        ("invalid reference format", 400),
        ("something about the request", 400),
    ],
)
def test_what_a_registry_will_always_say_is_given_up(text: str, status: int) -> None:
    told = reasons.of_pull("r.example/app:9", text, status)

    assert isinstance(told, GiveUp)
    assert told.name == "CannotPullContainerError"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ('Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused', 500),
        ("dial tcp: lookup r.example on 1.1.1.1:53: no such host", 500),
        ("toomanyrequests: You have reached your pull rate limit", 429),
        ("net/http: TLS handshake timeout", 500),
        ("unexpected EOF", 0),
        ("read: connection reset by peer", 0),
        ("received unexpected HTTP status: 503 Service Unavailable", 500),
        ("denied: dial tcp 10.0.0.1:443: i/o timeout", 500),
        ("net/http: request canceled while waiting for connection", 500),
        ("what nobody has ever heard", 500),
    ],
)
def test_what_may_pass_is_tried_again(text: str, status: int) -> None:
    told = reasons.of_pull("r.example/app:9", text, status)

    assert isinstance(told, TryAgain)
    assert told.name == "CannotPullContainerError"


def test_the_name_of_an_image_is_no_sign_of_trouble() -> None:
    image = "r.example/timeout-eof:500"

    assert isinstance(reasons.of_pull(image, f"manifest for {image} not found: manifest unknown", 404), GiveUp)


def test_signed_addresses_of_layers_are_not_shown() -> None:
    layer = "https://prod-us-east-1-starport-layer-bucket.s3.amazonaws.com/a/b?X-Amz-Signature=abc"

    told = reasons.of_pull("app:1", f'error pulling image: Get "{layer}": dial tcp: i/o timeout')

    assert str(told).endswith("error pulling image: Get REDACTED ECR URL related to app:1: dial tcp: i/o timeout")
    assert "amazonaws" not in str(told)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("User: arn:aws:sts::1:role/x is not authorized to perform: ecr:BatchGetImage on resource: y", "role"),
        ("pull access denied for app, repository does not exist or may require 'docker login'", "exists"),
        ("denied: requested access to the resource is denied", "exists"),
        ("net/http: request canceled while waiting for connection (Client.Timeout exceeded)", "reach the registry"),
        ("dial tcp: lookup r.example on 1.1.1.1:53: no such host", "reach the registry"),
        ("toomanyrequests: You have reached your pull rate limit", "limits how often"),
        ("Get http://r.example/v2/app/manifests/1: no basic auth credentials", "login"),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", "processor"),
        ("write /var/lib/docker/tmp/x: no space left on device", "disk"),
    ],
)
def test_a_failed_pull_says_what_to_look_at_before_the_text_of_docker(text: str, advice: str) -> None:
    told = str(reasons.of_pull("r.example/app:9", text, 500))

    assert told.startswith("The task can\u2019t pull the image. ")
    assert told.endswith(f" {text}")
    assert advice in told.removesuffix(text)


def test_what_nobody_has_ever_heard_is_told_as_it_is() -> None:
    assert str(reasons.of_pull("r.example/app:9", "odd things happened", 500)) == "odd things happened"


def test_the_question_what_a_tag_means_fails_under_its_own_name() -> None:
    told = reasons.of_pull("r.example/app:9", "manifest unknown", 404, reasons.CANNOT_RESOLVE)

    assert isinstance(told, GiveUp)
    assert told.reason == "CannotPullImageManifestError: manifest unknown"


def test_queries_of_other_addresses_are_not_shown_either() -> None:
    told = reasons.of_pull("app:1", 'Get "https://r.example/token?account=me&password=pw": EOF')

    assert str(told) == 'Get "https://r.example/token": EOF'


@pytest.mark.parametrize(
    ("seconds", "waited"),
    [(240, "4m0s"), (180.0, "3m0s"), (45, "45s"), (90.5, "1m30.5s"), (7200, "2h0m0s"), (3661, "1h1m1s")],
)
def test_a_late_answer_is_told_as_ecs_users_know_it(seconds: float, waited: str) -> None:
    told = reasons.timed_out("created", seconds)

    assert told == f"DockerTimeoutError: Could not transition to created; timed out after waiting {waited}"
