import pytest

from agent.engine import leases
from agent.model.acts import CreateContainer, StartContainer
from agent.model.errors import GiveUp
from agent.model.events import Fault
from agent.model.names import Image
from agent.model.rules import Rules
from agent.model.seen import Phase
from agent.model.task import Binding, ContainerSpec, Lease, PortMapping, Transport
from tests.engine.rows import ARN, OTHER, Play, seen, spec

RULES = Rules(first_port=40000, last_port=40002, reserved_tcp=frozenset({22, 40001}), reserved_udp=frozenset({53}))


def asking(*ports: PortMapping) -> ContainerSpec:
    return ContainerSpec("app", Image("app:1"), essential=True, ports=ports)


def ports_of(
    *ports: PortMapping, used: frozenset[int] = frozenset(), draw: str = "0" * 40, attempt: int = 0
) -> list[int]:
    found = leases.lease(asking(*ports), RULES, lambda port: port[1] in used, draw, attempt)
    return [lease.host_port for lease in found]


def test_the_draw_says_where_the_search_begins_and_it_goes_round() -> None:
    assert ports_of(PortMapping(80)) == [40000]
    assert ports_of(PortMapping(80), draw="00000002") == [40002]
    assert ports_of(PortMapping(80), draw="00000002", used=frozenset({40002})) == [40000]


def test_reserved_ports_are_never_chosen_and_reserved_by_transport() -> None:
    assert ports_of(PortMapping(80), draw="00000001") == [40002]
    assert ports_of(PortMapping(80, 0, Transport.UDP), draw="00000001") == [40001]


def test_one_container_gets_different_ports_and_none_that_it_fixes_itself() -> None:
    assert ports_of(PortMapping(80), PortMapping(81, 40000)) == [40002, 40000]
    assert len(set(ports_of(PortMapping(80), PortMapping(81)))) == 2


def test_the_same_number_may_serve_tcp_and_udp() -> None:
    assert ports_of(PortMapping(53), PortMapping(53, 40000, Transport.UDP)) == [40000, 40000]


def test_a_fixed_port_that_is_reserved_is_refused() -> None:
    with pytest.raises(GiveUp, match="host port 22 is reserved") as raised:
        ports_of(PortMapping(80, 22))
    assert raised.value.name == "CannotStartContainerError"


def test_a_range_that_is_used_up_is_said_to_be() -> None:
    with pytest.raises(GiveUp, match="40000-40002"):
        ports_of(PortMapping(80), used=frozenset({40000, 40002}))


def test_a_container_without_a_port_left_stops_with_that_reason() -> None:
    play = Play()
    play.assign(spec(ARN, asking(*(PortMapping(number) for number in range(1, 12)))))
    (report,) = play.pulled().reports
    assert report.containers[0].reason.startswith("CannotStartContainerError: no free host port")


def test_a_port_is_free_again_once_its_container_is_known_not_to_run() -> None:
    play = Play()
    play.assign(spec(ARN, asking(PortMapping(80))))
    play.pulled()
    held = play.app.leases
    play.created()
    play.stop()
    play.assign(spec(OTHER, asking(PortMapping(80))))
    play.pulled()
    assert play.engine.tasks[OTHER]["app"].leases != held  # the start is not answered yet: it may run
    play.take(CreateContainer)
    play.fail(StartContainer, Fault.GIVE_UP)
    third = spec(type(ARN)(ARN + "3"), asking(PortMapping(80)))
    play.assign(third)
    play.pulled()
    assert play.engine.tasks[third.arn]["app"].leases == held


def test_a_rebuilt_container_holds_the_ports_that_docker_shows_for_it() -> None:
    play = Play(heard=False)
    binding = Binding(80, 50000, Transport.TCP, "0.0.0.0")
    play.list(seen(bindings=(binding, Binding(80, 50000, Transport.TCP, "::"))))
    assert play.app.leases == (Lease(80, 50000),)
    play.assign(spec(OTHER, asking(PortMapping(80))))
    play.pulled()
    assert play.engine.tasks[OTHER]["app"].leases[0].host_port == 50001
    assert play.list(seen(Phase.EXITED, exit_code=0)).tasks[0]["app"].at_rest


def test_only_the_port_that_turned_out_taken_is_chosen_anew_and_often_enough_for_a_crowded_host() -> None:
    play = Play(rules=Rules(first_port=50000, last_port=50099))
    play.assign(spec(ARN, asking(PortMapping(80), PortMapping(81), PortMapping(82))))
    play.pulled()
    before = play.app.leases
    tried = {before[1].host_port}
    for _ in range(leases.ATTEMPTS - 1):
        play.fail(CreateContainer, Fault.PORT_TAKEN, port=play.app.leases[1].host_port)
        assert (play.app.leases[0], play.app.leases[2]) == (before[0], before[2])
        tried.add(play.app.leases[1].host_port)
    assert len(tried) == leases.ATTEMPTS
    assert not tried & {before[0].host_port}
    play.fail(CreateContainer, Fault.PORT_TAKEN, port=play.app.leases[1].host_port)
    assert play.app.at_rest


# -- ranges -----------------------------------------------------------------------------------------------------------

WIDE = Rules(first_port=40000, last_port=40009, reserved_tcp=frozenset({40004}))


def range_of(count: int, *, used: frozenset[int] = frozenset(), draw: str = "0" * 40) -> int:
    (found,) = leases.lease(asking(PortMapping(8000, count=count)), WIDE, lambda port: port[1] in used, draw, attempt=0)
    assert (found.count, found.chosen) == (count, True)
    return found.host_port


def test_a_range_takes_ports_that_follow_each_other_and_never_goes_round_the_end() -> None:
    assert range_of(4) == 40000
    assert range_of(5) == 40005
    assert range_of(2, used=frozenset({40001})) == 40002
    assert range_of(3, draw="00000007") == 40007
    assert range_of(3, draw="00000007", used=frozenset({40009})) == 40000


def test_a_range_is_found_wherever_there_is_room_and_only_there() -> None:
    for mask in range(1 << 10):
        used = frozenset(40000 + bit for bit in range(10) if mask >> bit & 1)
        taken = used | WIDE.reserved_tcp
        free = {first for first in range(40000, 40008) if not taken & {first, first + 1, first + 2}}
        for draw in ("00000000", "00000003", "00000006"):
            if free:
                assert range_of(3, used=used, draw=draw) in free
                continue
            with pytest.raises(
                GiveUp, match="3 contiguous host ports are unavailable in the dynamic range 40000-40009"
            ):
                range_of(3, used=used, draw=draw)


def test_a_range_larger_than_all_there_is_is_refused() -> None:
    with pytest.raises(GiveUp, match="11 contiguous"):
        range_of(11)


def test_a_fixed_range_is_taken_as_it_is_and_refused_where_any_of_it_is_reserved() -> None:
    (found,) = leases.lease(asking(PortMapping(8000, 41000, count=3)), WIDE, lambda _: False, "0", 0)
    assert found == Lease(8000, 41000, count=3)
    with pytest.raises(GiveUp, match="host port 40004 is reserved"):
        leases.lease(asking(PortMapping(8000, 40002, count=3)), WIDE, lambda _: False, "0", 0)


def test_ports_of_one_container_keep_out_of_each_others_ranges() -> None:
    ports = (PortMapping(1, count=2), PortMapping(3), PortMapping(4, 40002, count=2))
    first, second, third = leases.lease(asking(*ports), WIDE, lambda _: False, "0" * 40, 0)
    taken = [port for lease in (first, second, third) for port in leases.ports_of(lease)]
    assert len(set(taken)) == len(taken) == 5


def test_more_mappings_than_ecs_takes_bindings_are_refused() -> None:
    many = asking(*(PortMapping(number) for number in range(1, 102)))
    with pytest.raises(GiveUp, match="101 port mappings, and ECS takes 100"):
        leases.lease(many, Rules(), lambda _: False, "0" * 40, 0)


def test_every_port_of_a_range_is_held_and_one_that_turns_out_taken_costs_the_whole_range() -> None:
    play = Play()
    play.assign(spec(ARN, asking(PortMapping(8000, count=4))))
    play.pulled()
    assert sorted(port for _, port in leases.held(play.task)) == [50000, 50001, 50002, 50003]
    play.assign(spec(OTHER, asking(PortMapping(80))))
    play.pulled()
    assert play.engine.tasks[OTHER]["app"].leases[0].host_port == 50004
    play.fail(CreateContainer, Fault.PORT_TAKEN, port=50002)
    (again,) = play.app.leases
    assert again.count == 4
    assert again.host_port != 50000


def test_bindings_of_a_range_are_told_as_one_for_each_address() -> None:
    lease = Lease(8000, 40000, Transport.TCP, count=3)
    shown = tuple(Binding(8000 + n, 40000 + n, Transport.TCP, ip) for ip in ("0.0.0.0", "::") for n in range(3))
    other = Binding(8001, 40001, Transport.UDP, "0.0.0.0")
    assert leases.grouped((*shown, other), (lease,)) == (
        Binding(8000, 40000, Transport.TCP, "0.0.0.0", 3),
        Binding(8000, 40000, Transport.TCP, "::", 3),
        other,
    )
    many = tuple(Binding(n, n, Transport.TCP, "0.0.0.0") for n in range(1, 120))
    assert leases.grouped(many, ()) == many[:100]
