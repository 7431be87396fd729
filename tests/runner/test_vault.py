from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.model.credentials import RoleCredentials
from agent.model.names import TaskArn
from agent.model.status import Status
from agent.model.task import Task, TaskSpec
from agent.runner.vault import Vault, ids_in_use

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def credentials(name: str, key: str = "PLANTED-KEY") -> RoleCredentials:
    return RoleCredentials(
        credentials_id=name,
        role_arn="arn:aws:iam::123456789012:role/r",
        role_type="TaskApplication",
        expiration="2026-01-15T18:00:00Z",
        access_key_id=key,
        secret_access_key="PLANTED-SECRET",
        session_token="PLANTED-TOKEN",
    )


def task(credentials_id: str, known: Status) -> Task:
    spec = TaskSpec(TaskArn(f"arn:{credentials_id}"), "web", "1", (), task_credentials_id=credentials_id)
    return Task(spec, (), NOON, known=known)


def running(*ids: str) -> list[Task]:
    return [task(one, Status.RUNNING) for one in ids]


def test_values_that_arrive_again_replace_the_older_ones() -> None:
    vault = Vault(lambda: running("a"))
    vault.put(credentials("a", "old"))
    vault.put(credentials("a", "new"))

    kept = vault.get("a")

    assert kept is not None
    assert kept.access_key_id == "new"


def test_an_id_that_was_saved_and_has_no_value_is_missing() -> None:
    vault = Vault(lambda: running("a", "b"), lambda: NOON)
    vault.put(credentials("a"))
    assert vault.is_missing_any()
    vault.put(credentials("b"))
    assert not vault.is_missing_any()


@pytest.mark.parametrize(
    ("expiration", "missing_from"),
    [
        ("2026-01-15T18:00:00Z", timedelta(hours=5, minutes=45)),
        ("2026-01-15T12:20:00+00:00", timedelta(minutes=15)),
        ("2026-01-15T18:00:00", timedelta(hours=5, minutes=45)),
        ("2026-01-15T11:00:00Z", timedelta()),
    ],
)
def test_values_that_have_expired_or_will_soon_are_missing(expiration: str, missing_from: timedelta) -> None:
    now = [NOON]
    vault = Vault(lambda: running("a"), lambda: now[0])
    vault.put(replace(credentials("a"), expiration=expiration))
    now[0] = NOON + missing_from - timedelta(seconds=1)
    before = vault.is_missing_any()
    now[0] = NOON + missing_from

    assert (before, vault.is_missing_any()) == (missing_from == timedelta(), True)
    assert vault.get("a") is not None  # whoever gives them away looks at the time itself


@pytest.mark.parametrize("expiration", ["", "tomorrow"])
def test_values_of_which_nobody_knows_when_they_expire_are_never_missing(expiration: str) -> None:
    now = [NOON]
    vault = Vault(lambda: running("a"), lambda: now[0])
    vault.put(replace(credentials("a"), expiration=expiration))
    now[0] += timedelta(days=1000)

    assert not vault.is_missing_any()


def test_what_a_live_task_uses_is_not_forgotten() -> None:
    vault = Vault(lambda: running("a"))
    vault.put(credentials("a"))
    vault.put(credentials("b"))

    vault.forget(["a", "b", "never-heard-of"])

    assert vault.get("a") == credentials("a")
    assert vault.get("b") is None


def test_what_ends_with_a_task_is_not_kept_for_it() -> None:
    lives, ended = task("lives", Status.RUNNING), task("ended", Status.STOPPED)
    vault = Vault(lambda: [lives, ended])
    vault.put(credentials("lives"))
    vault.put(credentials("ended"))

    vault.follow([lives, ended])

    assert ids_in_use([lives, ended]) == ["lives"]
    assert vault.get("lives") is not None
    assert vault.get("ended") is None


def test_the_role_that_writes_logs_is_kept_until_the_task_is_forgotten() -> None:
    spec = TaskSpec(TaskArn("arn:t"), "web", "1", (), task_credentials_id="app", execution_credentials_id="exec")
    rows = [Task(spec, (), NOON, known=Status.STOPPED)]
    vault = Vault(lambda: rows)
    vault.put(credentials("app"))
    vault.put(credentials("exec"))

    vault.follow(rows)
    after_the_end = vault.get("app"), vault.get("exec")
    asked_for = vault.is_missing_any()
    rows.clear()
    vault.follow([], [spec.arn])

    assert after_the_end == (None, credentials("exec"))
    assert not asked_for
    assert vault.get("exec") is None


def test_a_vault_shows_no_value() -> None:
    vault = Vault(list)
    vault.put(credentials("a"))

    assert "PLANTED" not in f"{vault} {vault!r} {vault.get('a')} {vault.get('a')!r}"
