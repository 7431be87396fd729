import json
from pathlib import Path

import pytest

from agent.host.faults import (
    CONTAINERS_OWN,
    IPV4,
    IPV6,
    Command,
    Lifeline,
    begin,
    black_holes,
    end,
    flaw,
    gather,
    is_there,
    lifelines,
    look,
    spread,
)
from agent.model.faults import Blackhole, FaultKind, Latency, PacketLoss, Traffic
from agent.model.task import Transport

GOLDEN = Path(__file__).parent / "golden"
OURS = Lifeline("127.0.0.1", 51679)
KEPT = (CONTAINERS_OWN, OURS)
IN_80 = Blackhole(80, Transport.TCP, Traffic.INGRESS, ("10.0.0.9", "2001:db8::/64"))
OUT_80 = Blackhole(80, Transport.TCP, Traffic.EGRESS, ("10.0.0.9", "2001:db8::/64"))


def lines(commands: tuple[Command, ...]) -> list[str]:
    return [" ".join(command) for command in commands]


def test_a_black_hole_for_what_comes_in_spares_answers_from_where_containers_ask() -> None:
    assert lines(begin(IPV4, IN_80, KEPT, host=False)) == [
        "iptables -w 5 -N ingress-tcp-80",
        "iptables -w 5 -A ingress-tcp-80 -p tcp -s 169.254.170.2 --sport 80 --dport 80 -j RETURN",
        "iptables -w 5 -A ingress-tcp-80 -p tcp -s 10.0.0.9 --dport 80 -j RETURN",
        "iptables -w 5 -A ingress-tcp-80 -p tcp -d 0.0.0.0/0 --dport 80 -j DROP",
        "iptables -w 5 -I INPUT -j ingress-tcp-80",
    ]
    assert lines(begin(IPV6, IN_80, KEPT, host=False)) == [
        "ip6tables -w 5 -N ingress-tcp-80",
        "ip6tables -w 5 -A ingress-tcp-80 -p tcp -s 2001:db8::/64 --dport 80 -j RETURN",
        "ip6tables -w 5 -A ingress-tcp-80 -p tcp -d ::/0 --dport 80 -j DROP",
        "ip6tables -w 5 -I INPUT -j ingress-tcp-80",
    ]


def test_a_black_hole_for_what_goes_out_spares_questions_to_it() -> None:
    assert lines(begin(IPV4, OUT_80, KEPT, host=False)) == [
        "iptables -w 5 -N egress-tcp-80",
        "iptables -w 5 -A egress-tcp-80 -p tcp -d 169.254.170.2 --dport 80 -j RETURN",
        "iptables -w 5 -A egress-tcp-80 -p tcp -d 10.0.0.9 --dport 80 -j RETURN",
        "iptables -w 5 -A egress-tcp-80 -p tcp -d 0.0.0.0/0 --dport 80 -j DROP",
        "iptables -w 5 -I OUTPUT -j egress-tcp-80",
    ]
    elsewhere = Blackhole(443, Transport.TCP, Traffic.EGRESS)
    assert lines(begin(IPV4, elsewhere, KEPT, host=False)) == [
        "iptables -w 5 -N egress-tcp-443",
        "iptables -w 5 -A egress-tcp-443 -p tcp -d 0.0.0.0/0 --dport 443 -j DROP",
        "iptables -w 5 -I OUTPUT -j egress-tcp-443",
    ]


@pytest.mark.parametrize("traffic", list(Traffic))
def test_on_the_host_both_ways_to_the_agent_stay_open(traffic: Traffic) -> None:
    hole = Blackhole(51679, Transport.TCP, traffic)

    made = lines(begin(IPV4, hole, KEPT, host=True))

    name = f"{traffic}-tcp-51679"
    assert made[1:-2] == [
        f"iptables -w 5 -A {name} -p tcp -s 169.254.170.2 --sport 80 --dport 51679 -j RETURN",
        f"iptables -w 5 -A {name} -p tcp -d 127.0.0.1 --dport 51679 -j RETURN",
        f"iptables -w 5 -A {name} -p tcp -s 127.0.0.1 --sport 51679 --dport 51679 -j RETURN",
    ]


def test_metadata_are_never_asked_for_over_udp() -> None:
    hole = Blackhole(53, Transport.UDP, Traffic.INGRESS)

    assert lines(begin(IPV4, hole, KEPT, host=True)) == [
        "iptables -w 5 -N ingress-udp-53",
        "iptables -w 5 -A ingress-udp-53 -p udp -d 0.0.0.0/0 --dport 53 -j DROP",
        "iptables -w 5 -I INPUT -j ingress-udp-53",
    ]


def test_a_black_hole_is_looked_for_and_unmade_by_its_name() -> None:
    assert lines((is_there(OUT_80),)) == ["iptables -w 5 -C egress-tcp-80 -p tcp --dport 80 -j DROP"]
    assert lines(end(IPV6, OUT_80)) == [
        "ip6tables -w 5 -F egress-tcp-80",
        "ip6tables -w 5 -D OUTPUT -j egress-tcp-80",
        "ip6tables -w 5 -X egress-tcp-80",
    ]


def test_black_holes_are_found_among_all_rules_and_others_chains_are_left_alone() -> None:
    rules = """-P INPUT ACCEPT
-N DOCKER
-N ingress-tcp-80
-N egress-udp-53
-N egress-tcp-99999
-N ingress-tcp-22
-A INPUT -j ingress-tcp-80
-A ingress-tcp-80 -s 10.0.0.9/32 -p tcp -m tcp --dport 80 -j RETURN
-A ingress-tcp-80 -p tcp -m tcp --dport 80 -j DROP
-A ingress-tcp-22 -s 10.0.0.0/8 -j fail2ban
"""
    assert black_holes(rules) == (
        Blackhole(80, Transport.TCP, Traffic.INGRESS),
        Blackhole(53, Transport.UDP, Traffic.EGRESS),
    )


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("latency", Latency(100, 5, ("10.0.2.0/24", "2001:db8::/64"), ("10.0.2.9", "2001:db8::9"))),
        ("packet_loss", PacketLoss(20, ("10.0.2.0/24", "2001:db8::/64"), ("10.0.2.9",), flows=50)),
    ],
)
def test_latency_and_loss_are_made_by_these_very_commands(name: str, fault: Latency | PacketLoss) -> None:
    expected = (GOLDEN / f"{name}.txt").read_text().splitlines()

    assert lines(spread("eth0", fault, KEPT)) == expected


@pytest.mark.parametrize("percent", [1, 10, 11, 100])
def test_so_many_flows_in_a_hundred_meet_the_fault(percent: int) -> None:
    made = lines(spread("eth0", PacketLoss(3, ("::/0",), flows=percent), ()))

    leaves = [line.split()[6] for line in made if "netem loss 3%" in line]
    assert len(leaves) == len(set(leaves)) == percent
    assert leaves[-1] == f"{100 + (percent - 1) // 10}:{(percent - 1) % 10 + 1:x}"


@pytest.mark.parametrize("source", ["0.0.0.0/0", "169.254.0.0/16", "169.254.170.2"])
def test_sources_that_cover_the_way_to_metadata_do_not_reach_it(source: str) -> None:
    made = lines(spread("eth0", PacketLoss(100, ("10.0.0.1", source)), KEPT))

    way_round = [line for line in made if line.endswith("1:3")]
    assert way_round == [
        "tc filter add dev eth0 protocol all parent 1:0 prio 1 u32 match ip dst 169.254.170.2 flowid 1:3"
    ]


def test_latency_and_loss_are_looked_for_and_unmade() -> None:
    assert lines((look("ens5"),)) == ["tc -j q show dev ens5 parent 100:1"]
    assert lines(gather("ens5")) == [
        "tc qdisc del dev ens5 parent 1:1 handle 10:",
        "tc qdisc del dev ens5 root handle 1: prio",
    ]
    late = [{"kind": "netem", "handle": "200:", "parent": "100:1", "options": {"limit": 1000, "delay": {"delay": 0.1}}}]
    lost = [{"kind": "netem", "handle": "200:", "parent": "100:1", "options": {"loss-random": {"loss": 0.2}}}]
    other = [{"kind": "fq_codel", "options": {"loss-random": 1}}, {"kind": "netem"}, 3]
    assert flaw(json.dumps(late)) is FaultKind.LATENCY
    assert flaw(json.dumps([*other, *lost])) is FaultKind.LOSS
    assert flaw(json.dumps(other)) is None
    assert flaw("") is flaw("[]") is None
    with pytest.raises(ValueError, match="list"):
        flaw("{}")


@pytest.mark.parametrize(
    ("address", "places"),
    [
        ("127.0.0.1:51679", (CONTAINERS_OWN, OURS)),
        ("[::1]:80", (CONTAINERS_OWN, Lifeline("::1", 80))),
        ("172.17.0.1:51679", (CONTAINERS_OWN, Lifeline("172.17.0.1", 51679))),
        ("169.254.170.2:80", (CONTAINERS_OWN,)),
        ("localhost:51679", (CONTAINERS_OWN,)),
        ("off", (CONTAINERS_OWN,)),
    ],
)
def test_where_we_listen_is_a_lifeline_too(address: str, places: tuple[Lifeline, ...]) -> None:
    assert lifelines(address) == places
