import os
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from agent import opening
from agent.aws.access_client import Access
from agent.aws.imds_client import IPV4, IPV6
from agent.config.settings import Settings
from agent.host.capabilities import detailed_os_of
from agent.host.facts_driver import read_machine
from agent.model.errors import Fatal
from tests.aws.certificates import Authority
from tests.aws.peers import run

SETTINGS = Settings(ip_compatibility="ipv4")
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECS", "AWS_MAX_ATTEMPTS")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        for spelling in (name, name.lower()):
            monkeypatch.setenv(spelling, "")  # so that it is put back, whatever becomes of it
            monkeypatch.delenv(spelling)


def access(settings: Settings = SETTINGS, region: str = "eu-west-1") -> Access:
    return run(opening.access_to_aws(settings, region))


def url_of(settings: Settings, region: str = "eu-west-1") -> str:
    async def story() -> str:
        async with (await opening.access_to_aws(settings, region)).open_ecs() as ecs:
            return ecs.url

    return run(story())


@pytest.mark.parametrize(
    ("settings", "region", "url"),
    [
        (SETTINGS, "eu-west-1", "https://ecs.eu-west-1.amazonaws.com/"),
        (SETTINGS, "cn-north-1", "https://ecs.cn-north-1.amazonaws.com.cn/"),
        (SETTINGS, "us-iso-east-1", "https://ecs.us-iso-east-1.c2s.ic.gov/"),
        (
            Settings(use_fips_endpoint=True, ip_compatibility="ipv4"),
            "us-east-1",
            "https://ecs-fips.us-east-1.amazonaws.com/",
        ),
        (Settings(use_dualstack_endpoint=True, ip_compatibility="ipv4"), "us-east-1", "https://ecs.us-east-1.api.aws/"),
        (Settings(ip_compatibility="ipv6"), "us-gov-west-1", "https://ecs.us-gov-west-1.api.aws/"),
        (Settings(ip_compatibility="ipv6", use_fips_endpoint=True), "us-west-2", "https://ecs-fips.us-west-2.api.aws/"),
        (
            Settings(ip_compatibility="ipv6", use_fips_endpoint=True, backend_host="ecs.example"),
            "us-west-2",
            "https://ecs.example/",
        ),
    ],
)
def test_the_endpoint_follows_from_the_settings_and_the_region(settings: Settings, region: str, url: str) -> None:
    assert url_of(settings, region) == url


def test_an_endpoint_of_the_environment_serves_unless_the_settings_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECS", "http://ecs.example:8080/")
    assert url_of(replace(SETTINGS, use_fips_endpoint=True)) == "http://ecs.example:8080/"
    assert url_of(replace(SETTINGS, backend_host="http://127.0.0.1:51690")) == "http://127.0.0.1:51690/"
    assert opening.endpoint_of(SETTINGS) == "http://ecs.example:8080"


@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_ENDPOINT_URL", "ecs.example"), ("HTTPS_PROXY", "ftp://p:1"), ("AWS_MAX_ATTEMPTS", "none")],
)
def test_what_nobody_can_use_ends_the_start_with_the_name_of_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Fatal, match=f"^{name}: must be ") as caught:
        access()
    assert caught.value.exit_code == 5


def test_a_file_of_authorities_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match=r"^AWS_CA_BUNDLE: cannot read certificates from .*: No such file"):
        access(replace(SETTINGS, ca_file=tmp_path / "missing.pem"))


def test_the_settings_decide_whom_to_trust(tmp_path: Path) -> None:
    authority = Authority.in_folder(tmp_path / "authority")
    known = len(ssl.create_default_context().get_ca_certs())

    strict = access(replace(SETTINGS, ca_file=authority.file)).roads._trust
    loose = access(replace(SETTINGS, accept_insecure_cert=True)).roads._trust

    assert isinstance(strict, ssl.SSLContext)
    assert (strict.verify_mode, len(strict.get_ca_certs())) == (ssl.CERT_REQUIRED, known + 1)
    assert isinstance(loose, ssl.SSLContext)
    assert (loose.verify_mode, loose.check_hostname) == (ssl.CERT_NONE, False)


def test_a_proxy_is_known_to_everybody_in_the_process_and_docker_is_none_of_its_business(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "proxy.example:3128")
    access(replace(SETTINGS, docker_host="tcp://docker.example:2375"))
    assert os.environ["https_proxy"] == "http://proxy.example:3128"
    assert os.environ["NO_PROXY"].split(",")[:2] == ["169.254.169.254", "169.254.170.2"]
    assert "docker.example" in os.environ["no_proxy"].split(",")


def test_a_machine_that_lives_on_ipv6_alone_is_known_as_one() -> None:
    assert [access(Settings(ip_compatibility=said)).ipv6_only for said in ("ipv4", "ipv6")] == [False, True]


def test_without_a_proxy_the_environment_stays_as_it_is() -> None:
    before = dict(os.environ)
    access()
    assert dict(os.environ) == before


def test_instance_metadata_is_asked_where_aws_clients_ask_and_never_outside_of_aws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert opening.imds_settings(SETTINGS, 3.0).endpoint == IPV4
    assert opening.imds_settings(SETTINGS, 3.0).patience == 3.0
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6")
    assert opening.imds_settings(SETTINGS).endpoint == IPV6
    assert opening.imds_settings(replace(SETTINGS, imds_endpoint="http://m:1")).endpoint == "http://m:1"
    assert [
        opening.imds_settings(each).disabled
        for each in (SETTINGS, Settings(external=True), Settings(imds_disabled=True))
    ] == [
        False,
        True,
        True,
    ]


def test_the_detailed_name_of_the_system_is_said_to_ecs() -> None:
    assert f" (linux; {detailed_os_of(read_machine())}) (+http" in access().ecs.user_agent
    assert " (linux; plan_9) (+http" in access(replace(SETTINGS, detailed_os_family="plan_9")).ecs.user_agent
    assert " (linux) (+http" in access(replace(SETTINGS, detailed_os_family="a\nb")).ecs.user_agent
