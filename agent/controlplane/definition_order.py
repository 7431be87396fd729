"""Who of a task waits for whom: dependsOn, links and volumesFrom (API: ContainerDependency)."""

from collections.abc import Mapping, Sequence

from agent.controlplane.faults import client
from agent.controlplane.names import NAME, repeated
from agent.controlplane.records import JsonObject

Edges = Mapping[str, Sequence[str]]


def check_order(containers: Sequence[JsonObject], mode: str) -> None:
    """Raise ClientException for a wish that no order of starts could fulfil."""
    by_name = {container["name"]: container for container in containers}
    edges = {
        container["name"]: (
            *_depended_on(container, by_name),
            *_linked(container, by_name, mode),
            *_sources(container, by_name),
        )
        for container in containers
    }
    circle = find_cycle(edges)
    if circle:
        raise client(f"The containers wait for each other in a circle: {' -> '.join(circle)}.")


def find_cycle(edges: Edges) -> tuple[str, ...]:
    """A way along *edges* that ends where it begins; empty where there is none."""
    done: set[str] = set()
    for start in edges:
        way = [start]
        while way:
            onward = next((name for name in edges[way[-1]] if name not in done), None)
            if onward is None:
                done.add(way.pop())
            elif onward in way:
                return (*way[way.index(onward) :], onward)
            else:
                way.append(onward)
    return ()


def _depended_on(container: JsonObject, by_name: Mapping[str, JsonObject]) -> list[str]:
    names = [dependency["containerName"] for dependency in container.get("dependsOn", ())]
    for dependency in container.get("dependsOn", ()):
        name, condition = dependency["containerName"], dependency["condition"]
        if name not in by_name:
            raise client(f"Cannot depend on container '{name[:255]}' because it does not exist.")
        if condition in ("SUCCESS", "COMPLETE") and by_name[name]["essential"]:
            raise client("A dependency container with SUCCESS or COMPLETE condition cannot be an essential container.")
        if condition == "HEALTHY" and not by_name[name].get("healthCheck"):
            raise client(f"A dependency container with HEALTHY condition must have a healthCheck: '{name}' has none.")
    if twice := repeated(names):
        raise client(f"dependsOn of container '{container['name']}' names '{twice}' more than once.")
    return names


def _linked(container: JsonObject, by_name: Mapping[str, JsonObject], mode: str) -> list[str]:
    links = container.get("links", ())
    if links and mode != "bridge":
        raise client(f"Links are not supported when networkMode={mode}.")
    targets, aliases = [], []
    for link in links:
        name, colon, alias = link.partition(":")
        if (colon and not NAME.fullmatch(alias)) or not NAME.fullmatch(name):
            raise client(f"links of container '{container['name']}' must be container names, or name:alias.")
        if name not in by_name:
            raise client(f"Cannot link to container '{name}' because it does not exist.")
        targets.append(name)
        aliases.append(alias or name)
    if twice := repeated(aliases):
        raise client(f"links of container '{container['name']}' uses '{twice}' more than once.")
    return targets


def _sources(container: JsonObject, by_name: Mapping[str, JsonObject]) -> list[str]:
    names = [source.get("sourceContainer", "") for source in container["volumesFrom"]]
    for name in names:
        if not name:
            raise client(f"volumesFrom of container '{container['name']}' holds an entry without a sourceContainer.")
        if name not in by_name:
            raise client(f"Cannot use the volumes of container '{name[:255]}' because it does not exist.")
    if twice := repeated(names):
        raise client(f"volumesFrom of container '{container['name']}' names '{twice}' more than once.")
    return names
