import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.loaders import Loader
from botocore.regions import EndpointResolver

from agent.aws.ecs_client import amazon_suffix
from agent.aws.endpoints import configured_endpoint, explicit_endpoint, is_http_url, regional_endpoint, user_agent
from agent.model.errors import BadInput

PARTITIONS = Loader().load_data("partitions")["partitions"]


def test_every_region_has_the_endpoint_that_botocore_gives_it() -> None:
    resolver = EndpointResolver(Loader().load_data("endpoints"))
    regions = [
        region
        for partition in ("aws", "aws-cn", "aws-us-gov")
        for region in resolver.get_available_endpoints("ecs", partition)
        if not region.startswith("fips-")
    ]

    theirs = {region: resolver.construct_endpoint("ecs", region) or {} for region in regions}
    ours = {region: regional_endpoint(region, PARTITIONS) for region in regions}

    assert len(regions) > 25
    assert ours == {region: f"https://{theirs[region]['hostname']}" for region in regions}


def test_every_partition_has_the_endpoints_that_botocores_rules_give_it() -> None:
    rules = EndpointProvider(Loader().load_service_model("ecs", "endpoint-rule-set-1"), {"partitions": PARTITIONS})
    regions = [region for partition in PARTITIONS for region in partition["regions"] if not region.startswith("aws-")]
    asked = [(region, fips, dual) for region in regions for fips in (False, True) for dual in (False, True)]

    theirs = [rules.resolve_endpoint(Region=r, UseFIPS=fips, UseDualStack=dual).url for r, fips, dual in asked]

    assert len({partition["id"] for partition in PARTITIONS}) >= 7
    assert [regional_endpoint(r, PARTITIONS, fips=fips, dualstack=dual) for r, fips, dual in asked] == theirs


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({}, ""),
        ({"AWS_ENDPOINT_URL": "http://all/"}, "http://all"),
        ({"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_ECS": "https://ecs:1"}, "https://ecs:1"),
        ({"AWS_ENDPOINT_URL_SQS": "https://sqs"}, ""),
        ({"AWS_ENDPOINT_URL_ECS": "https://ecs", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "True"}, ""),
    ],
)
def test_an_endpoint_may_stand_in_the_environment(environ: dict[str, str], endpoint: str) -> None:
    assert configured_endpoint("ecs", environ) == endpoint


def test_an_endpoint_of_the_environment_that_is_no_url_is_refused_without_printing_it() -> None:
    with pytest.raises(BadInput, match=r"^AWS_ENDPOINT_URL_ECS: must be a URL") as caught:
        configured_endpoint("ecs", {"AWS_ENDPOINT_URL_ECS": "https://user:password@h"})
    assert "password" not in str(caught.value)


def test_a_region_newer_than_the_table_is_found_by_its_shape() -> None:
    assert regional_endpoint("cn-south-9", PARTITIONS) == "https://ecs.cn-south-9.amazonaws.com.cn"
    assert regional_endpoint("moon-far-1", PARTITIONS) == "https://ecs.moon-far-1.amazonaws.com"


@pytest.mark.parametrize(
    ("region", "suffix"),
    [
        ("eu-west-1", "amazonaws.com"),
        ("us-gov-west-1", "amazonaws.com"),
        ("cn-north-1", "amazonaws.com.cn"),
        ("us-iso-east-1", "c2s.ic.gov"),
        ("eu-isoe-west-1", "cloud.adc-e.uk"),
        ("moon", "amazonaws.com"),
    ],
)
def test_a_partition_has_names_of_its_own(region: str, suffix: str) -> None:
    assert amazon_suffix(region) == suffix


@pytest.mark.parametrize("region", ["", "evil.example/", "us-east-1#", "US EAST"])
def test_what_is_no_region_is_refused(region: str) -> None:
    with pytest.raises(BadInput, match="AWS_DEFAULT_REGION"):
        regional_endpoint(region, PARTITIONS)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("ecs.example", "https://ecs.example"),
        ("http://127.0.0.1:51690/", "http://127.0.0.1:51690"),
        (" https://ecs.example:8443 ", "https://ecs.example:8443"),
        ("localhost:51690", "https://localhost:51690"),
    ],
)
def test_a_backend_host_becomes_a_url(said: str, meant: str) -> None:
    assert explicit_endpoint(said) == meant


@pytest.mark.parametrize("said", ["ftp://ecs.example", "http://", "https://user:password@ecs.example", "http://h:x"])
def test_a_backend_host_that_is_no_http_url_is_refused_without_printing_it(said: str) -> None:
    with pytest.raises(BadInput, match="ECS_BACKEND_HOST") as caught:
        explicit_endpoint(said)
    assert "password" not in str(caught.value)


def test_only_http_and_https_are_endpoints() -> None:
    assert is_http_url("https://acs.example:443/")
    assert not any(map(is_http_url, ["ws://a", "wss://a", "a.example", "", "http://[", "http://a:b"]))


def test_the_user_agent_begins_as_ecs_expects_and_names_us() -> None:
    text = user_agent("1.105.1", "a8b3e7d3", "0.1.0")

    assert text.startswith("Amazon ECS Agent - v1.105.1 (*a8b3e7d3) (linux) (+http://aws.amazon.com/ecs/)")
    assert text.endswith(" dockworker/0.1.0")
