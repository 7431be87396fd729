import pytest

from agent.config.proxies import is_loopback, proxy_for

BOTH = {"HTTPS_PROXY": "http://secure:3128", "HTTP_PROXY": "http://plain:3128"}


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://ecs.example/", BOTH, "http://secure:3128"),
        ("wss://ecs.example/", BOTH, "http://secure:3128"),
        ("http://ecs.example/", BOTH, "http://plain:3128"),
        ("https://ecs.example/", {"http_proxy": "plain:3128"}, "http://plain:3128"),
        ("http://ecs.example/", {"HTTPS_PROXY": "http://secure:3128"}, None),
        ("https://ecs.example/", {"https_proxy": "http://low", "HTTPS_PROXY": "http://high"}, "http://low"),
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
