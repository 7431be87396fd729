"""Each room imports only what its floor allows, and only files named for it touch the world."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HOUSE = Path(__file__).parent.parent / "agent"

WORDS = frozenset({"model"})
TRANSLATION = WORDS | {"wire", "config"}
LOOPS = frozenset({"acs", "endpoints", "images", "membership", "operator", "reporter", "runner", "tcs"})
HANDS = frozenset({"aws", "docker", "host", "store"})

MAY_IMPORT: dict[str, frozenset[str]] = {
    "model": frozenset(),
    "config": WORDS,
    "wire": WORDS,
    "engine": WORDS,
    "sockets": WORDS,
    **dict.fromkeys(HANDS, TRANSLATION),
    **dict.fromkeys(LOOPS, TRANSLATION | {"engine"}),
    "acs": TRANSLATION | {"engine", "sockets"},
    "tcs": TRANSLATION | {"engine", "sockets"},
    "controlplane": WORDS | {"wire", "store/db"},
    "opening": TRANSLATION | HANDS | {"membership", "version"},
    "takeover": TRANSLATION | HANDS | {"membership", "opening"},
    "doctor": TRANSLATION | HANDS | {"membership", "opening", "version"},
    "departure": TRANSLATION | HANDS | {"membership", "opening", "takeover", "version"},
    "shelves": TRANSLATION | {"engine", "docker", "host", "store", "images", "runner"},
    "joints": TRANSLATION | {"aws", "docker", "engine", "runner", "shelves", "store"},
    "reception": TRANSLATION | {"aws", "docker", "endpoints", "engine", "host", "joints", "runner", "store"},
    "telemetry": TRANSLATION
    | {"aws", "docker", "engine", "host", "joints", "runner", "sockets", "store", "tcs", "version"},
    "doors": TRANSLATION | {"docker", "engine", "host", "joints", "operator", "runner", "store", "version"},
    "alarm": WORDS,
    "daemon": TRANSLATION
    | {
        "alarm",
        "doors",
        "engine",
        "joints",
        "opening",
        "reception",
        "shelves",
        "sockets",
        "takeover",
        "telemetry",
        "version",
    }
    | HANDS
    | LOOPS,
    "cli": WORDS
    | {"config", "controlplane", "daemon", "departure", "doctor", "takeover", "version"}
    | {"host/cgroup_driver", "host/notify_driver", "host/redirect_driver", "host/rolling_driver"},
    "version": frozenset(),
    "__main__": frozenset({"cli"}),
}
"""The rooms, and the files beside them, that each one may import; ``store/db`` is one file of a room."""

LOOPS_OWN_PORTS = "ports"
"""A hand speaks the words that a loop declares in its ``ports.py``: it may import that one file of any loop."""

ANYTHING = frozenset({"*"})
FOREIGN: dict[str, frozenset[str]] = {
    "model": frozenset(),
    "engine": frozenset(),
    "version": frozenset(),
    "config": frozenset({"msgspec"}),
    "wire": frozenset({"msgspec"}),
    "__main__": frozenset(),
    "cli": frozenset({"aiodocker", "aiohttp", "botocore", "rich", "structlog", "typer"}),
}
"""Third-party packages of the rooms that are choosy; the others may use whatever the project depends on."""

WORLDLY = frozenset(
    {"asyncio", "http", "mmap", "multiprocessing", "select", "selectors", "shutil", "signal", "socket", "ssl"}
    | {"subprocess", "tempfile", "threading", "time", "aiodocker", "aiohttp", "psutil", "pynvml"}
)
"""Modules that reach the machine, the network, the clock, or other jobs."""

WORLDLY_NAMES = ("driver", "client", "server", "db", "loop")
AWAITS_ONLY_PORTS = frozenset({"runner/perform", "runner/vault"})
PURE_ROOMS = frozenset({"model", "config", "wire", "engine"})
UNBOUND = frozenset(
    {"alarm", "cli", "daemon", "departure", "doors", "opening", "reception", "shelves", "telemetry", "__main__"}
)
"""The wiring and the door, which touch the world by their trade."""


@dataclass(frozen=True)
class Import:
    path: Path
    line: int
    module: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(HOUSE.parent)}:{self.line} imports {self.module}"


def files() -> list[Path]:
    return sorted(HOUSE.rglob("*.py"))


def openings_of_databases(path: Path) -> list[int]:
    """Lines that call ``sqlite3.connect``; to be handed a connection is fine."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "sqlite3.connect"
    ]


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[Import]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(path, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            module = str(node.module)
            if module == "agent" or (HOUSE.parent / Path(*module.split("."))).is_dir():
                yield from (Import(path, node.lineno, f"{module}.{alias.name}") for alias in node.names)
            else:
                yield Import(path, node.lineno, module)


def of_the_house(path: Path) -> Iterator[tuple[Import, str, str]]:
    """Each import of another room: the room, and the room with the file."""
    for found in imports(path):
        first, *rest = found.module.split(".")
        if first == "agent" and rest and rest[0] != room_of(path):
            yield found, rest[0], "/".join(rest[:2])


def is_allowed(path: Path, room: str, file: str) -> bool:
    mine = room_of(path)
    if mine in HANDS and room in LOOPS:
        return file == f"{room}/{LOOPS_OWN_PORTS}"
    return bool({room, file} & MAY_IMPORT[mine])


def test_the_table_knows_every_room_and_no_other() -> None:
    rooms = {room_of(path) for path in files()} - {"__init__"}

    assert set(MAY_IMPORT) == rooms


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_room_imports_only_from_where_its_floor_allows(path: Path) -> None:
    wrong = [str(found) for found, room, file in of_the_house(path) if not is_allowed(path, room, file)]

    assert not wrong


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(HOUSE)))
def test_the_lower_floors_use_no_package_that_they_need_not(path: Path) -> None:
    allowed = FOREIGN.get(room_of(path), ANYTHING)
    foreign = [
        found
        for found in imports(path)
        if (top := found.module.split(".")[0]) not in sys.stdlib_module_names and top not in {"agent", "__future__"}
    ]
    wrong = [str(found) for found in foreign if allowed != ANYTHING and found.module.split(".")[0] not in allowed]

    assert not wrong


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(HOUSE)))
def test_only_files_named_for_it_touch_the_world(path: Path) -> None:
    place = str(path.relative_to(HOUSE).with_suffix(""))
    if room_of(path) in UNBOUND or place in AWAITS_ONLY_PORTS or path.stem.rpartition("_")[2] in WORLDLY_NAMES:
        assert room_of(path) not in PURE_ROOMS, f"{place} is in a room that never touches the world"
        return
    wrong = [str(found) for found in imports(path) if found.module.split(".")[0] in WORLDLY]
    wrong += [f"{path}:{line} opens a database" for line in openings_of_databases(path)]

    assert not wrong


@pytest.mark.parametrize("path", [path for path in files() if room_of(path) in PURE_ROOMS], ids=str)
def test_the_pure_rooms_read_no_clock_draw_no_chance_and_wait_for_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    wrong = [
        f"{path}:{node.lineno}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith | ast.AsyncFunctionDef)
        or (isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today", "uuid4", "token_hex"})
        or (isinstance(node, ast.Name) and node.id in {"open", "print", "input"})
    ]

    assert not wrong or path.relative_to(HOUSE) == Path("model", "clock.py")
