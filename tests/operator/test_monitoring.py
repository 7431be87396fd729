"""What is shipped for Prometheus and Grafana fits the page of metrics: judged by promtool, and by the page itself."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.operator.gauged import families, gauged, page

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "packaging" / "prometheus"
RULES, DASHBOARD = SHIPPED / "rules.yml", SHIPPED / "dashboard.json"
DOCUMENT = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
OURS = re.compile(r"\b(?:dockworker|process)_\w+")
OF_PROMETHEUS = {"up"}


def promtool(*words: str | Path, said: str | None = None) -> str:
    """What promtool says, which must be content. `packaging/bootstrap test` brings it."""
    tool = shutil.which("promtool") or ROOT / ".dockworker" / "promtool"
    done = subprocess.run([tool, *words], input=said, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def lines() -> set[str]:
    """The names of all lines that the page may have."""
    return {one.name for family in families(gauged()) for one in family.samples}


def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return read


def queries() -> list[str]:
    """What the dashboard asks for."""
    asked = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]
    return asked + [one["expr"] for one in dashboard()["annotations"]["list"]]


def test_promtool_finds_no_fault_with_the_page() -> None:
    assert promtool("check", "metrics", said=page(gauged(100), "text/plain")[1]) == ""


def test_promtool_would_find_one() -> None:
    with pytest.raises(AssertionError, match="_total"):
        promtool("check", "metrics", said="# HELP x X.\n# TYPE x counter\nx 1\n")


def test_the_rules_are_rules_and_each_alert_speaks_when_it_must_and_only_then() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))
    tests = (SHIPPED / "rules_test.yml").read_text(encoding="utf-8")
    silent = re.findall(r"alertname: (\w+)\n +exp_alerts: \[\]", tests)
    speaking = re.findall(r"alertname: (\w+)\n +exp_alerts:\n +- exp_labels", tests)

    assert f"SUCCESS: {len(alerts)} rules found" in promtool("check", "rules", RULES)
    assert "SUCCESS" in promtool("test", "rules", SHIPPED / "rules_test.yml")
    assert sorted(alerts) == sorted(silent) == sorted(speaking)
    assert all(f"`{one}`" in DOCUMENT for one in alerts)


def test_every_alert_and_every_query_of_the_dashboard_names_lines_that_the_page_has() -> None:
    text = re.sub(r"^\s*(?:#|summary:|action:|- alert:).*$", "", RULES.read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = {name for one in (text, *queries()) for name in OURS.findall(one)}

    assert named - lines() == set()
    assert len(queries()) > 25


def test_the_queries_of_the_dashboard_are_queries(tmp_path: Path) -> None:
    filled = [one.replace("$__rate_interval", "5m").replace("$instance", ".+") for one in queries()]
    rules = [{"record": f"query:number_{number}", "expr": one} for number, one in enumerate(filled)]
    (tmp_path / "queries.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))

    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", tmp_path / "queries.yml")


def test_the_panels_of_the_dashboard_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not taken & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])


def test_the_document_has_every_family_and_says_of_it_what_the_page_says() -> None:
    shown = dict(re.findall(r"^\| `(dockworker_\w+)` \| \w+ \| [^|]* \| ([^|]+) \|$", DOCUMENT, re.MULTILINE))
    there = {one.name: one.documentation for one in families(gauged()) if one.name.startswith("dockworker_")}

    assert shown == there
