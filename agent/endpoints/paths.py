"""The paths of requests: decoded, and made clean as Go's router makes them."""

from urllib.parse import parse_qsl, quote, unquote


def split(target: str) -> tuple[str, str]:
    """The path, decoded, and the query, as it was written, of a request's *target*."""
    path, _, query = target.partition("?")
    return unquote(path.partition("#")[0], errors="replace"), query.partition("#")[0]


def clean(path: str) -> str:
    """*path* with one slash between two parts, no ``.`` and no ``..``, and a slash at the end where it had one."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    tail = "/" if parts and path.endswith("/") else ""
    return f"/{'/'.join(parts)}{tail}"


def location(path: str, query: str) -> str:
    """Where one is led who asked for a path that was not clean."""
    return quote(path, safe="/:@!$&'()*+,;=~") + (f"?{query}" if query else "")


def read_query(query: str) -> dict[str, str]:
    """The first value of each name, as Go's ``Get`` gives it."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=None):
        found.setdefault(name, value)
    return found
