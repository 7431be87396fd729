import pytest
from botocore.utils import get_environ_proxies

from agent.config.proxies import completed, is_loopback, proxy_for

BOTH = {"HTTPS_PROXY": "http://secure:3128", "HTTP_PROXY": "http://plain:3128"}


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://ecs.example/", BOTH, "http://secure:3128"),
        ("wss://ecs.example/", BOTH, "http://secure:3128"),
        ("http://ecs.example/", BOTH, "http://plain:3128"),
        ("https://ecs.example/", {"http_proxy": "plain:3128"}, "http://plain:3128"),
        ("http://ecs.example/", {"HTTPS_PROXY": "http://secure:3128"}, None),
        ("https://ecs.example/", {"https_proxy": "http://low", "HTTPS_PROXY": "http://high"}, "http://high"),
        ("https://ecs.example/", {"https_proxy": "socks5://low", "HTTPS_PROXY": ""}, "socks5://low"),
        ("http://ecs.example/", {"HTTP_PROXY": "http://header", "REQUEST_METHOD": "GET"}, None),
        ("http://ecs.example/", {"http_proxy": "http://plain", "REQUEST_METHOD": "GET"}, "http://plain"),
        ("https://ecs.example/", {"HTTPS_PROXY": " "}, None),
        ("https://ecs.example/", {}, None),
    ],
)
def test_each_scheme_has_its_proxy(url: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_for(url, environ) == proxy


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:51690/",
        "http://LOCALHOST./",
        "http://127.0.0.1/",
        "http://127.8.9.10/",
        "http://[::1]:80/",
        "http://169.254.169.254/latest",
        "http://169.254.170.2/v2",
    ],
)
def test_this_machine_and_its_metadata_are_never_proxied(url: str) -> None:
    assert proxy_for(url, BOTH) is None


@pytest.mark.parametrize(
    ("rules", "url", "exempt"),
    [
        ("*", "https://ecs.example/", True),
        ("ecs.example", "https://ecs.example/", True),
        ("example", "https://ecs.example/", True),
        (".example", "https://ecs.example/", True),
        ("*.example", "https://ecs.example/", True),
        (".ecs.example", "https://ecs.example/", False),
        ("*.ecs.example", "https://ecs.example/", False),
        (".ecs.example:443", "https://ecs.example/", False),
        (".ecs.example:443", "https://a.ecs.example/", True),
        ("s.example", "https://ecs.example/", False),
        ("other, ECS.example", "https://ecs.example/", True),
        ("ecs.example:443", "https://ecs.example/", True),
        ("ecs.example:8443", "https://ecs.example/", False),
        ("10.0.0.0/8", "http://10.1.2.3:51690/", True),
        ("10.0.0.0/8", "http://11.1.2.3:51690/", False),
        ("10.1.2.3:51690", "http://10.1.2.3:51690/", True),
        ("10.1.2.3:80", "http://10.1.2.3:51690/", False),
        ("fd00::/8", "http://[fd00::2]/", True),
        ("[fd00::2]:80", "http://[fd00::2]/", True),
        (" , ", "https://ecs.example/", False),
    ],
)
def test_exceptions_are_names_suffixes_addresses_and_networks(rules: str, url: str, *, exempt: bool) -> None:
    assert (proxy_for(url, {**BOTH, "NO_PROXY": rules}) is None) is exempt


def test_a_name_of_this_machine_is_known_without_asking() -> None:
    assert is_loopback("app.localhost")
    assert not is_loopback("localhost.example")
    assert not is_loopback("")


EXEMPT = (
    "169.254.169.254,169.254.170.2,fd00:ec2::254,[fd00:ec2::254],localhost,127.0.0.1,::1,[::1],/var/run/docker.sock"
)


@pytest.mark.parametrize(
    ("environ", "docker_host", "imds", "set_to"),
    [
        ({}, "unix:///var/run/docker.sock", "", {}),
        ({"NO_PROXY": "a"}, "unix:///var/run/docker.sock", "", {}),
        (
            {"HTTP_PROXY": "plain:3128"},
            "unix:///var/run/docker.sock",
            "",
            {"HTTP": "http://plain:3128", "HTTPS": "http://plain:3128", "NO": EXEMPT},
        ),
        (
            {**BOTH, "no_proxy": "a.example, 127.0.0.1"},
            "tcp://docker.example:2375",
            "http://metadata.example:1338",
            {
                "HTTP": "http://plain:3128",
                "HTTPS": "http://secure:3128",
                "NO": "a.example,127.0.0.1,169.254.169.254,169.254.170.2,fd00:ec2::254,[fd00:ec2::254],localhost,::1,"
                "[::1],docker.example,metadata.example",
            },
        ),
        ({"https_proxy": "http://s", "NO_PROXY": "*"}, "tcp://d:1", "", {"HTTPS": "http://s", "NO": "*"}),
    ],
)
def test_whoever_else_reads_the_variables_finds_what_we_find(
    environ: dict[str, str], docker_host: str, imds: str, set_to: dict[str, str]
) -> None:
    both = {f"{name}_PROXY": value for name, value in set_to.items()}
    expected = {**both, **{name.lower(): value for name, value in both.items()}}
    assert completed(environ, docker_host, imds) == expected


def test_completing_twice_changes_nothing_more() -> None:
    once = completed(BOTH, "tcp://d:1")
    assert completed({**BOTH, **once}, "tcp://d:1") == once


def test_botocore_goes_where_we_go(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "plain:3128")
    for name, value in completed({"HTTP_PROXY": "plain:3128"}, "tcp://docker.example:2375").items():
        monkeypatch.setenv(name, value)

    assert get_environ_proxies("https://sts.example/")["https"] == "http://plain:3128"
    straight = (
        "169.254.169.254",
        "[fd00:ec2::254]",
        "169.254.170.2",
        "127.0.0.1:1338",
        "[::1]:80",
        "docker.example:2375",
    )
    assert [get_environ_proxies(f"http://{host}/latest") for host in straight] == [{}] * len(straight)
