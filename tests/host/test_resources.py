import pytest

from agent.host.resources import Machine, Reservations, local_port, reserved_tcp, total_resources
from agent.model.errors import Fatal
from agent.model.identity import Resource

MIB = 1024 * 1024
MACHINE = Machine(cpus=4, memory=7800 * MIB + 5, addresses=frozenset({"192.0.2.2", "fd00::2", "vm"}))


def test_a_machine_offers_its_processors_memory_and_ports() -> None:
    assert total_resources(MACHINE, Reservations()) == (
        Resource("CPU", integer=4096),
        Resource("MEMORY", integer=7800),
        Resource("PORTS", strings=("22", "2375", "2376", "51678", "51679")),
        Resource("PORTS_UDP", strings=()),
    )


def test_what_the_operator_reserves_is_not_offered() -> None:
    kept = Reservations(memory=200, tcp=(8080, 22, 8080), udp=(161, 53, 53))
    resources = {resource.name: resource for resource in total_resources(MACHINE, kept)}

    assert resources["MEMORY"].integer == 7600
    assert resources["PORTS"].strings == ("22", "8080", "51678", "51679")
    assert resources["PORTS_UDP"].strings == ("53", "161")


def test_more_reserved_memory_than_there_is_is_not_worth_a_restart() -> None:
    with pytest.raises(Fatal, match="ECS_RESERVED_MEMORY: 9000 MiB are reserved, but the machine has 7800") as caught:
        total_resources(MACHINE, Reservations(memory=9000))
    assert caught.value.exit_code == 5


def test_all_memory_may_be_reserved() -> None:
    assert total_resources(MACHINE, Reservations(memory=7800))[1] == Resource("MEMORY", integer=0)


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [
        ("http://127.0.0.1:51690", 51690),
        ("http://localhost:51690", 51690),
        ("http://[::1]:51690", 51690),
        ("http://0.0.0.0:51690", 51690),
        ("http://192.0.2.2:8000", 8000),
        ("http://[fd00::2]:8000", 8000),
        ("http://VM:8000", 8000),
        ("http://127.0.0.1", 80),
        ("https://127.0.0.1", 443),
        ("https://ecs.us-east-1.amazonaws.com", None),
        ("http://192.0.2.3:8000", None),
        ("", None),
    ],
)
def test_the_port_of_a_control_plane_on_this_machine_is_ours(endpoint: str, port: int | None) -> None:
    assert local_port(endpoint, MACHINE.addresses) == port
    assert reserved_tcp(MACHINE, Reservations(tcp=(), endpoint=endpoint)) == {51678, 51679} | (
        {port} if port else set()
    )
