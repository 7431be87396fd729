from pathlib import Path

import pytest

from agent.host.routes import Routes, ipv6_only, routes_of
from agent.host.routes_driver import read_routes

V4_HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
V4_DEFAULT = "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
V4_DOWN = V4_DEFAULT.replace("0003", "0002")
V4_REJECT = V4_DEFAULT.replace("0003", "0201")
V4_LINK = "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
V4_HALF = "tun0\t00000000\t010011AC\t0003\t0\t0\t0\t00000080\t0\t0\t0\n"
ZERO = "0" * 32
V6_DEFAULT = f"{ZERO} 00 {ZERO} 00 fe800000000000000000000000000001 00000064 00000001 00000000 00000003     eth0\n"
V6_REJECT = f"{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200       lo\n"
V6_LINK = f"fe800000000000000000000000000000 40 {ZERO} 00 {ZERO} 00000100 00000001 00000000 00000001     eth0\n"


@pytest.mark.parametrize(
    ("v4", "v6", "routes"),
    [
        (V4_DEFAULT + V4_LINK, V6_LINK + V6_DEFAULT + V6_REJECT, Routes(ipv4=True, ipv6=True)),
        (V4_LINK + V4_DEFAULT, V6_LINK + V6_REJECT, Routes(ipv4=True, ipv6=False)),
        (V4_LINK + V4_DOWN + V4_REJECT + V4_HALF, V6_DEFAULT, Routes(ipv4=False, ipv6=True)),
        ("", "", Routes(ipv4=False, ipv6=False)),
    ],
)
def test_a_default_route_is_one_that_leads_somewhere(v4: str, v6: str, routes: Routes) -> None:
    assert routes_of(V4_HEAD + v4, v6) == routes


@pytest.mark.parametrize(
    ("said", "routes", "only"),
    [
        ("", Routes(ipv4=False, ipv6=True), True),
        ("", Routes(ipv4=True, ipv6=True), False),
        ("", Routes(ipv4=False, ipv6=False), False),
        ("", None, False),
        ("ipv4", Routes(ipv4=False, ipv6=True), False),
        ("ipv6", Routes(ipv4=True, ipv6=True), True),
        ("ipv6", None, True),
    ],
)
def test_a_machine_lives_on_ipv6_alone_where_its_operator_or_its_routes_say_so(
    said: str, routes: Routes | None, *, only: bool
) -> None:
    assert ipv6_only(said, routes) is only


def test_tables_that_cannot_be_read_say_nothing(tmp_path: Path) -> None:
    assert read_routes(tmp_path) is None
    (tmp_path / "route").write_text(V4_HEAD + "eth0\tnonsense\n")
    assert read_routes(tmp_path) is None
    (tmp_path / "route").write_text(V4_HEAD + V4_DEFAULT)
    assert read_routes(tmp_path) == Routes(ipv4=True, ipv6=False)


def test_the_tables_of_this_kernel_are_read() -> None:
    assert read_routes() is not None
