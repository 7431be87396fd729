"""What the documents say is so."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli import app as cli_app
from agent.config import pages
from agent.config.known import UNHEEDED
from agent.config.load import load
from agent.config.reference import SETTINGS, Setting
from agent.config.settings import Settings
from tests.test_floors import MAY_IMPORT

ROOT = Path(__file__).parent.parent
EXAMPLE = (ROOT / "config.example.toml").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAP = (ROOT / "agent" / "README.md").read_text(encoding="utf-8")


def test_the_example_holds_every_setting_at_its_default() -> None:
    assert load({}, EXAMPLE) == Settings()


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.field)
def test_the_example_names_the_setting_and_says_what_it_does(row: Setting) -> None:
    section, key = row.keys[0].split(".")
    (content,) = re.findall(rf"^\[{section}\]$(.*?)(?=^\[|\Z)", EXAMPLE, re.MULTILINE | re.DOTALL)

    assert re.search(rf"^{key} = ", content, re.MULTILINE)
    assert row.says in re.sub(r"\n# ", " ", content)


def test_the_example_and_the_reference_page_are_made_from_the_settings() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

    assert pages.example() == EXAMPLE, "run packaging/pages"
    assert pages.filled(page) == page, "run packaging/pages"
    assert set(re.findall(r"<!-- made: (\w+) -->", page)) == set(pages.TABLES)
    assert all(f"`{variable}`" in page for row in SETTINGS for variable in row.variables)
    assert all(f"`{one.variable or one.json}`" in page for one in UNHEEDED)


def test_the_map_shows_the_rooms_that_there_are_and_what_each_may_import() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", MAP.partition("## Names of files")[0], re.MULTILINE)
    shown = {room: frozenset() if may == "nothing" else frozenset(may.split()) for room, may in rows}

    assert shown == MAY_IMPORT


def test_the_picture_of_the_floors_shows_every_room() -> None:
    picture = MAP.partition("```text")[2].partition("```")[0]

    assert {room for room in MAY_IMPORT if room not in picture} == {"version"}


def test_the_makefile_lists_each_of_its_targets() -> None:
    make = shutil.which("make")
    assert make
    listed = subprocess.run([make, "-s", "-C", ROOT], check=True, capture_output=True, text=True).stdout
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert re.findall(r"^  make (\w+)", listed, re.MULTILINE) == targets.split()


def test_every_make_target_and_command_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {a or b for a, b in re.findall(r"`make (\w+)`|^make (\w+)", README, re.MULTILINE)}
    commands = {one.name or getattr(one.callback, "__name__", "") for one in cli_app.app.registered_commands}

    assert {target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)} == set()
    assert set(re.findall(r"`dockworker ([a-z]+)\b", README)) == commands


def test_the_files_that_the_documents_name_are_there() -> None:
    named = re.findall(r"\]\(([^):#]+)\)", README) + re.findall(
        r"`((?:packaging|systemd|tests)/[\w./-]+)`", README + MAP
    )

    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")

    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_changelog_tells_of_this_version() -> None:
    version = subprocess.run(
        [sys.executable, "-m", "agent", "--version"], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.split()[1]

    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_page_on_faults_names_tests_that_there_are_and_every_story_stands_on_it() -> None:
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", page))
    stories = {
        (file.name, test)
        for file in (ROOT / "tests" / "faults").glob("test_*.py")
        for test in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert not named - stories
    assert {file for file, _ in stories} - {file for file, _ in named} == ABOUT_TESTS


ABOUT_TESTS = {"test_ledger.py", "test_no_blocking.py"}
"""Files that try what the stories are told with, and keep no promise of their own."""
