"""What rules there are and which are missing, by listings of iptables's two kinds and of Amazon's agent."""

import pytest

from agent.host.redirect import View, Wanted, in_words, needs_route, read
from agent.model.errors import TryAgain

ASKED = "-p tcp -d 169.254.170.2 --dport 80"
COMMENT = "-m comment --comment dockworker"
LED_HERE = "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT"
ADDRESS = "127.0.0.1:51679"
WANTED = Wanted.of(ADDRESS, filters=True)
NAT = """-P PREROUTING ACCEPT
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A PREROUTING -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -m comment --comment dockworker -j DNAT --to-destination {0}
-P OUTPUT ACCEPT
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -m comment --comment dockworker -j REDIRECT --to-ports {1}
"""
FILTER = """-P INPUT ACCEPT
-A INPUT ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -m comment --comment \
dockworker -j DROP
"""
AMAZONS = (
    "-A PREROUTING -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination {0}\n"
    "-A OUTPUT -d 169.254.170.2/32 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports {1}\n"
)
AMAZONS_FILTER = "-A INPUT ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP\n"


def ours(port: int = 51679) -> str:
    return NAT.format(f"127.0.0.1:{port}", port)


def amazons(port: int = 51679) -> str:
    return AMAZONS.format(f"127.0.0.1:{port}", port)


def view(nat: str, keeping: str = "") -> View:
    return View((*read("nat", nat), *read("filter", keeping)))


def test_on_an_empty_machine_all_of_it_is_missing_and_strangers_are_kept_out_first() -> None:
    missing = view("-P PREROUTING ACCEPT\n").missing(WANTED)

    assert [" ".join(one.to_add()) for one in missing] == [
        f"-t filter -I INPUT -d 127.0.0.0/8 ! -s 127.0.0.0/8 {LED_HERE} {COMMENT} -j DROP",
        f"-t nat -A PREROUTING {ASKED} {COMMENT} -j DNAT --to-destination 127.0.0.1:51679",
        f"-t nat -A OUTPUT {ASKED} {COMMENT} -j REDIRECT --to-ports 51679",
    ]


@pytest.mark.parametrize(
    ("nat", "keeping", "missing"),
    [
        (ours(), FILTER, []),
        (amazons(), AMAZONS_FILTER, []),
        (amazons(), "", ["INPUT"]),
        (ours().replace("-A PREROUTING -d 169", "-A PREROUTING ! -d 169"), FILTER, ["PREROUTING"]),
        (ours().replace("--dport 80", "--dport 81"), FILTER, ["PREROUTING", "OUTPUT"]),
        (ours().replace("-p tcp -m tcp", "-p udp -m udp"), FILTER, ["PREROUTING", "OUTPUT"]),
        (ours(), FILTER.replace("-j DROP", "-j ACCEPT"), ["INPUT"]),
    ],
)
def test_what_is_there_is_not_made_again(nat: str, keeping: str, missing: list[str]) -> None:
    assert [one.chain for one in view(nat, keeping).missing(WANTED)] == missing


def test_the_filter_is_not_wanted_where_it_is_not_to_be_or_nobody_comes_to_the_loopback() -> None:
    without = Wanted.of(ADDRESS, filters=False)
    bridge = Wanted.of("172.17.0.1:51679", filters=True)

    assert [one.chain for one in view("").missing(without)] == ["PREROUTING", "OUTPUT"]
    assert [one.to_add()[-1] for one in view("").missing(bridge)] == ["172.17.0.1:51679"] * 2
    assert (without.needs_localnet, bridge.needs_localnet) == (True, False)


def test_a_rule_that_leads_elsewhere_is_said_and_what_is_behind_it_does_not_count() -> None:
    found = view(amazons(51700) + ours(), FILTER)

    assert [one.leads_to for one in found.others(WANTED)] == ["127.0.0.1:51700"] * 2
    assert found.missing(WANTED) == []
    assert in_words((), found.others(WANTED))[0] == (
        "a rule of somebody else leads 169.254.170.2 to 127.0.0.1:51700 (iptables -t nat -S PREROUTING)"
    )
    assert view(ours() + amazons(51700)).others(WANTED) == [], "ours comes first"


def test_what_is_removed_is_ours_and_of_this_address() -> None:
    mine = view(ours(), FILTER).made_for(WANTED)
    beside = view(ours() + ours(51691) + amazons(51700), FILTER).made_for(WANTED)

    assert [one.to_delete()[:4] for one in mine] == [
        ("-t", "nat", "-D", "PREROUTING"),
        ("-t", "nat", "-D", "OUTPUT"),
        ("-t", "filter", "-D", "INPUT"),
    ]
    assert [(one.chain, one.leads_to) for one in beside] == [("PREROUTING", ADDRESS), ("OUTPUT", ADDRESS)]
    assert view(amazons(), AMAZONS_FILTER).made_for(WANTED) == []


@pytest.mark.parametrize("address", ["[::1]:51679", "elsewhere:51679"])
def test_what_no_rule_can_lead_to_is_said(address: str) -> None:
    with pytest.raises(TryAgain, match="IPv4"):
        Wanted.of(address, filters=True)


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost"])
def test_who_listens_everywhere_is_reached_at_the_loopback(host: str) -> None:
    assert Wanted.of(f"{host}:1", filters=True).target == "127.0.0.1:1"


HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
DOCKER0 = "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"


@pytest.mark.parametrize(
    ("route", "needs"),
    [
        ("", True),
        ("eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n", False),
        ("lo\t02AAFEA9\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n", False),
        ("eth0\t0000FEA9\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n", False),
    ],
    ids=["nothing", "default", "its own", "link-local"],
)
def test_a_machine_without_a_way_there_needs_a_route(*, route: str, needs: bool) -> None:
    assert needs_route(HEAD + DOCKER0 + route) is needs
