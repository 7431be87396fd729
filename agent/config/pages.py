"""The pages on settings that are made from the settings themselves: ``config.example.toml`` and the reference page."""

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator

from agent.config.deviations import DEVIATIONS
from agent.config.known import UNHEEDED
from agent.config.openness import says_when_wrong
from agent.config.reference import SETTINGS, Setting
from agent.config.settings import Settings
from agent.config.written import setting_text

WIDTH = 120
ABOUT_EXAMPLE = """\
Every setting of `dockworker run`, with its default. Copy what you change to /etc/dockworker/config.toml.

Each can also be given as an environment variable, which beats this file: `x_y` in [ecs] is ECS_X_Y, in [aws] AWS_X_Y, \
in [docker] DOCKER_X_Y; anything else is our own, and `x` in [log] is DOCKWORKER_LOG_X. An empty text, list or table \
means "not given". Durations are written as 90s, 1h30m or 500ms. Where this file is, every wrong value and name ends \
the start; `dockworker config check` says which.

Keys for AWS do not belong here: they come from the environment, a profile, or the instance's role.
"""
SECTIONS = {
    "ecs": "Named as in Amazon's agent, where that has it.",
    "aws": "What the AWS SDKs read too.",
    "ssl": "What other programs read too.",
    "docker": "What Docker's own command reads too.",
}
MADE = re.compile(r"(<!-- made: (\w+) -->)\n.*?(<!-- end -->)", re.DOTALL)


def example() -> str:
    """``config.example.toml``."""
    lines = list(_comment(ABOUT_EXAMPLE))
    for section, rows in _by_section(SETTINGS):
        lines += ["", f"[{section}]"]
        for number, row in enumerate(rows):
            lines += [""] if number else []
            lines += [*_comment(row.says), f"{row.keys[0].partition('.')[2]} = {_default(row)}"]
    return "\n".join(lines) + "\n"


def filled(page: str) -> str:
    """``docs/configuration.md``: the text of *page*, with each of its tables made anew."""
    return MADE.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[3]}", page)


def _settings() -> str:
    parts = []
    for section, rows in _by_section(SETTINGS):
        title = SECTIONS.get(section, "Our own.")
        head = f"### [{section}]\n\n{title}\n\n" + _table(
            "variable | key; JSON | default | must be | else | what it does"
        )
        parts.append("\n".join([head, *map(_line, rows)]))
    return "\n\n".join(parts)


def _unheeded() -> str:
    def code(name: str) -> str:
        return f"`{name}`" if name else ""

    rows = [f"| {code(one.variable)} | {code(one.json)} | {one.because} |" for one in UNHEEDED]
    return "\n".join([_table("variable | JSON | why"), *rows])


def _differences() -> str:
    rows = [f"| {one.about} | {one.theirs} | {one.ours} |" for one in DEVIATIONS]
    return "\n".join([_table("what | Amazon's agent | Dockworker"), *rows])


TABLES: dict[str, Callable[[], str]] = {
    "settings": _settings,
    "unheeded": _unheeded,
    "differences": _differences,
}


def _table(head: str) -> str:
    return f"| {head} |\n" + "|".join(["", *[" --- "] * len(head.split(" | ")), ""])


def _by_section(rows: Iterable[Setting]) -> Iterable[tuple[str, list[Setting]]]:
    sections: dict[str, list[Setting]] = {}
    for row in rows:
        sections.setdefault(row.keys[0].partition(".")[0], []).append(row)
    return sections.items()


def _default(row: Setting) -> str:
    return setting_text(row, getattr(Settings(), row.field))


def _comment(text: str) -> Iterator[str]:
    for paragraph in text.rstrip("\n").split("\n"):
        yield from (
            f"# {line}".rstrip() for line in textwrap.wrap(paragraph, WIDTH - 2, break_on_hyphens=False) or [""]
        )


def _line(row: Setting) -> str:
    names = ", ".join(f"`{variable}`" for variable in row.variables)
    keys = f"`{row.keys[0]}`" + (f"; `{row.json}`" if row.json else "")
    default = _default(row)
    cells = names, keys, "" if default in ('""', "[]", "{}") else f"`{default}`", row.kind.rule, says_when_wrong(row)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (*cells, row.says)) + " |"
