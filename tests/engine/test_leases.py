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
