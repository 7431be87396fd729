"""What `dockworker redirect` says before it touches anything; what it does is in the stories."""

import pytest

from agent.cli import redirect
from agent.model.errors import NOT_WORTH_A_RESTART, WORTH_A_RESTART


def test_where_containers_are_answered_nowhere_there_is_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKWORKER_TASK_ADDRESS", "off")

    assert redirect.main(["make"]) == 0
    assert "there is nothing to lead them to" in capsys.readouterr().out


def test_an_address_that_no_rule_can_lead_to_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKWORKER_TASK_ADDRESS", "[::1]:51679")

    assert redirect.main(["check"]) == WORTH_A_RESTART
    assert "can be led to an address of IPv4 only" in capsys.readouterr().out


def test_settings_that_cannot_be_used_end_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKWORKER_TASK_ADDRESS", "nowhere")

    assert redirect.main(["remove", "--config", "/nowhere.toml"]) == NOT_WORTH_A_RESTART
    assert "these settings cannot be used" in capsys.readouterr().out
