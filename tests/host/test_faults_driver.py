"""The driver over tools that note what they are told, and refuse what they are told to: no rule is touched here."""

import asyncio
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.host import faults, networks_driver
from agent.host.fault_tools_driver import lacking
from agent.host.faults import CONTAINERS_OWN, IPV4, IPV6
from agent.host.faults_driver import FaultsDriver
from agent.model.faults import (
    HOST_NETWORK,
    Blackhole,
    Fault,
    FaultOp,
    FaultPlace,
    Latency,
    Outcome,
    PacketLoss,
    Traffic,
)
from agent.model.names import DockerId
from agent.model.task import Transport

HOLE = Blackhole(80, Transport.TCP, Traffic.EGRESS, ("10.0.0.9",))
SLOW = Latency(100, 5, ("10.0.0.1",))
LOSSY = PacketLoss(20, ("10.0.0.1",), flows=2)
TOOL = """#!/bin/sh
line="${0##*/} $*"
echo "$line" >>"$(dirname "$0")/told"
while read -r pattern; do
    case "$line" in $pattern) echo "not today" >&2; exit 2 ;; esac
done <"$(dirname "$0")/refused"
while read -r pattern; do
    case "$line" in $pattern) exec sleep 30 ;; esac
done <"$(dirname "$0")/silent"
case "$line" in *"q show"*) cat "$(dirname "$0")/shown" ;; esac
case "$line" in *" -S") cat "$(dirname "$0")/rules-${0##*/}" ;; esac
exit 0
"""


@dataclass(frozen=True)
class Tools:
    folder: Path

    def refuse(self, *patterns: str) -> None:
        (self.folder / "refused").write_text("".join(f"{one}\n" for one in patterns))

    def hang(self, *patterns: str) -> None:
        (self.folder / "silent").write_text("".join(f"{one}\n" for one in patterns))

    def show(self, text: str) -> None:
        (self.folder / "shown").write_text(text)

    def rules(self, tool: str, text: str) -> None:
        (self.folder / f"rules-{tool}").write_text(text)

    def told(self) -> list[str]:
        notes = self.folder / "told"
        told = notes.read_text().splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return told


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """Tools of a host that has one interface, and no fault yet."""
    made = Tools(tmp_path)
    for name in (IPV4, IPV6, "tc"):
        (tmp_path / name).write_text(TOOL)
        (tmp_path / name).chmod(0o755)
        made.rules(name, "")
    made.refuse("iptables * -C *")
    made.hang()
    made.show("[]")
    monkeypatch.setitem(networks_driver.ENVIRONMENT, "PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(networks_driver, "default_interfaces", lambda _v4, _v6: ("eth7",))
    return made


def do(op: FaultOp, fault: Fault, patience: float = 4.0) -> Outcome:
    return asyncio.run(FaultsDriver((CONTAINERS_OWN,), patience=patience).do(op, fault, HOST_NETWORK))


def lines(*commands: faults.Command) -> list[str]:
    return [" ".join(command) for command in commands]


def test_a_black_hole_is_made_for_both_families_after_it_was_looked_for(tools: Tools) -> None:
    assert do(FaultOp.START, HOLE) is Outcome.RUNNING
    assert tools.told() == lines(
        faults.is_there(HOLE),
        *faults.begin(IPV4, HOLE, (CONTAINERS_OWN,), host=True),
        *faults.begin(IPV6, HOLE, (CONTAINERS_OWN,), host=True),
    )


def test_one_that_is_there_is_not_made_again(tools: Tools) -> None:
    tools.refuse()

    assert do(FaultOp.START, HOLE) is do(FaultOp.STATUS, HOLE) is Outcome.RUNNING
    assert tools.told() == lines(faults.is_there(HOLE)) * 2
    assert do(FaultOp.STOP, HOLE) is Outcome.STOPPED
    assert tools.told() == lines(faults.is_there(HOLE), *faults.end(IPV4, HOLE), *faults.end(IPV6, HOLE))


def test_one_that_is_not_there_is_stopped_already(tools: Tools) -> None:
    tools.refuse("*")

    assert do(FaultOp.STATUS, HOLE) is Outcome.NOT_RUNNING
    assert do(FaultOp.STOP, HOLE) is Outcome.STOPPED


@pytest.mark.parametrize("refused", ["iptables * -A * -j DROP", "iptables * -I OUTPUT *", "iptables * RETURN"])
def test_a_start_that_is_refused_midway_undoes_what_it_did(tools: Tools, refused: str) -> None:
    tools.refuse("iptables * -C *", refused)

    assert do(FaultOp.START, HOLE) is Outcome.FAILED
    assert tools.told()[-6:] == lines(*faults.end(IPV4, HOLE), *faults.end(IPV6, HOLE))


def test_what_is_left_of_one_is_cleared_away_first(tools: Tools) -> None:
    tools.refuse("iptables * -C *", "iptables * -N *")

    assert do(FaultOp.START, HOLE) is Outcome.FAILED
    first = lines(*faults.begin(IPV4, HOLE, (), host=True))[:1]
    end = lines(*faults.end(IPV4, HOLE))
    assert tools.told() == [*lines(faults.is_there(HOLE)), *first, *end, *first, *end, *lines(*faults.end(IPV6, HOLE))]


def test_a_kernel_without_ipv6_is_no_hindrance(tools: Tools) -> None:
    tools.refuse("iptables * -C *", "ip6tables *")

    assert do(FaultOp.START, HOLE) is Outcome.RUNNING
    assert do(FaultOp.STOP, HOLE) is Outcome.STOPPED


def test_a_stop_that_is_refused_fails(tools: Tools) -> None:
    tools.refuse("iptables * -F *")

    assert do(FaultOp.STOP, HOLE) is Outcome.FAILED


def test_latency_is_made_by_one_hundred_and_twenty_four_commands(tools: Tools) -> None:
    assert do(FaultOp.START, SLOW) is Outcome.RUNNING
    told = tools.told()
    assert told == lines(faults.look("eth7"), *faults.spread("eth7", SLOW, (CONTAINERS_OWN,)))
    assert len(told) == 1 + 124


@pytest.mark.parametrize(
    ("shown", "kind"), [('"loss-random":{}', Outcome.LOSS_RUNS), ('"delay":{}', Outcome.LATENCY_RUNS)]
)
def test_there_is_at_most_one_of_latency_and_loss(tools: Tools, shown: str, kind: Outcome) -> None:
    tools.show(f'[{{"kind":"netem","options":{{{shown}}}}}]')

    assert do(FaultOp.START, SLOW) is do(FaultOp.START, LOSSY) is kind
    assert tools.told() == lines(faults.look("eth7")) * 2


def test_the_one_that_runs_is_told_and_stopped_and_the_other_is_not(tools: Tools) -> None:
    tools.show('[{"kind":"netem","options":{"loss-random":{}}}]')

    assert do(FaultOp.STATUS, PacketLoss()) is Outcome.RUNNING
    assert do(FaultOp.STATUS, Latency()) is Outcome.NOT_RUNNING
    assert do(FaultOp.STOP, Latency()) is Outcome.STOPPED
    assert tools.told() == lines(faults.look("eth7")) * 3
    assert do(FaultOp.STOP, PacketLoss()) is Outcome.STOPPED
    assert tools.told() == lines(faults.look("eth7"), *faults.gather("eth7"))


def test_loss_that_the_kernel_refuses_leaves_nothing(tools: Tools) -> None:
    tools.refuse("tc * netem *")

    assert do(FaultOp.START, LOSSY) is Outcome.FAILED
    assert tools.told()[-3:] == [
        "tc qdisc add dev eth7 parent 100:1 handle 200: netem loss 20%",
        *lines(*faults.gather("eth7")),
    ]


def test_where_another_owns_the_root_of_the_tree_it_is_left_alone(tools: Tools) -> None:
    tools.refuse("tc * root *")

    assert do(FaultOp.START, LOSSY) is Outcome.FAILED
    assert not [line for line in tools.told() if " del " in line]


def test_of_two_interfaces_both_or_none_are_met(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks_driver, "default_interfaces", lambda _v4, _v6: ("eth7", "eth8"))
    tools.refuse("tc filter add dev eth8 *")

    assert do(FaultOp.START, LOSSY) is Outcome.FAILED
    assert tools.told()[-4:] == lines(*faults.gather("eth8"), *faults.gather("eth7"))


def test_without_a_way_out_there_is_nothing_to_slow_down(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks_driver, "default_interfaces", lambda _v4, _v6: ())

    assert do(FaultOp.START, SLOW) is do(FaultOp.STATUS, SLOW) is Outcome.NO_INTERFACE


def test_a_tool_that_hangs_is_waited_for_no_longer_than_allowed_and_what_was_done_is_undone(tools: Tools) -> None:
    tools.hang("iptables * -I *")

    assert do(FaultOp.START, HOLE, patience=0.3) is Outcome.TIMED_OUT
    assert tools.told()[-6:] == lines(*faults.end(IPV4, HOLE), *faults.end(IPV6, HOLE))


def test_a_tool_that_is_missing_is_an_error(tools: Tools) -> None:
    (tools.folder / "tc").unlink()

    assert do(FaultOp.START, SLOW) is Outcome.FAILED


def test_two_that_ask_at_once_are_served_one_after_the_other(tools: Tools) -> None:
    other = Blackhole(81, Transport.TCP, Traffic.INGRESS)

    driver = FaultsDriver(())

    async def both() -> None:
        await asyncio.gather(*(driver.do(FaultOp.START, one, HOST_NETWORK) for one in (HOLE, other)))

    asyncio.run(both())
    about = ["-80" in line for line in tools.told()]
    assert not driver._turns
    assert about in (sorted(about), sorted(about, reverse=True))


def test_one_that_is_cancelled_comes_to_its_end(tools: Tools) -> None:
    async def story() -> None:
        driver = FaultsDriver(())
        job = asyncio.create_task(driver.do(FaultOp.START, HOLE, HOST_NETWORK))
        await asyncio.to_thread(_until_told, tools.folder / "told")
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert tools.told()[-1] == "ip6tables -w 5 -I OUTPUT -j egress-tcp-80"

    asyncio.run(story())


def _until_told(notes: Path) -> None:
    while not notes.exists():
        os.sched_yield()


def test_the_faults_of_the_host_are_found_by_their_names(tools: Tools) -> None:
    tools.rules(IPV4, "-N egress-tcp-80\n-A egress-tcp-80 -p tcp -m tcp --dport 80 -j DROP\n")
    tools.rules(IPV6, "-N egress-tcp-80\n-N ingress-udp-53\n")
    tools.show('[{"kind":"netem","options":{"loss-random":{}}}]')

    found = asyncio.run(FaultsDriver(()).on_host())

    assert found == (
        Blackhole(80, Transport.TCP, Traffic.EGRESS),
        Blackhole(53, Transport.UDP, Traffic.INGRESS),
        PacketLoss(),
    )


def test_a_host_that_may_not_be_looked_at_has_none(tools: Tools) -> None:
    tools.refuse("*")

    assert asyncio.run(FaultsDriver(()).on_host()) == ()


def test_a_process_that_docker_did_not_put_there_is_not_entered(tools: Tools) -> None:
    own = Path("/proc/self/ns/net").stat().st_ino
    with subprocess.Popen(["unshare", "--net", "sleep", "30"]) as process:
        place = FaultPlace(DockerId("d" * 64), process.pid)
        while Path(f"/proc/{process.pid}/ns/net").stat().st_ino == own:
            os.sched_yield()
        outcome = asyncio.run(FaultsDriver(()).do(FaultOp.START, HOLE, place))
        process.kill()

    assert outcome is Outcome.NO_NETWORK
    gone = FaultPlace(DockerId("d" * 64), process.pid)
    assert asyncio.run(FaultsDriver(()).do(FaultOp.START, HOLE, gone)) is Outcome.NO_NETWORK
    assert tools.told() == []


def test_a_container_that_has_the_network_of_the_host_is_not_entered(tools: Tools) -> None:
    """Whatever its task says: what is cut there would be cut for everybody."""
    docker_id = DockerId("d" * 64)
    for name in ("self", "7"):
        (tools.folder / name / "ns").mkdir(parents=True)
        (tools.folder / name / "ns/net").symlink_to("/proc/self/ns/net")
        (tools.folder / name / "net").symlink_to("/proc/self/net")
        (tools.folder / name / "cgroup").write_text(f"0::/docker/{docker_id}\n")

    driver = FaultsDriver((), tools.folder)

    assert asyncio.run(driver.do(FaultOp.START, HOLE, FaultPlace(docker_id, 7))) is Outcome.NO_NETWORK
    assert tools.told() == []


def test_what_a_machine_lacks_for_faults_is_named(tools: Tools) -> None:
    path = f"{tools.folder}:/usr/bin:/bin"
    assert lacking(path) == []
    assert lacking("/nowhere") == ["iptables", "tc", "nsenter", "unshare"]
    (tools.folder / "tc").rename(tools.folder / "ct")
    assert "tc" in lacking(str(tools.folder))

    (tools.folder / "ct").rename(tools.folder / "tc")
    tools.refuse("tc * netem *")
    (without,) = lacking(path)
    assert without.startswith("netem in the kernel (unshare --net tc")
    assert "not today" in without
    tools.refuse("tc -j *")
    (without,) = lacking(path)
    assert without.startswith("a tc that prints JSON (tc -j q show")
    tools.refuse()
    tools.show("nonsense")
    (without,) = lacking(path)
    assert without.startswith("a tc that prints JSON")


def test_what_is_tried_leaves_nothing_behind() -> None:
    shows = ["tc", "qdisc", "show", "dev", "lo"]
    before = subprocess.run(shows, check=True, capture_output=True).stdout
    lacking()
    assert subprocess.run(shows, check=True, capture_output=True).stdout == before
