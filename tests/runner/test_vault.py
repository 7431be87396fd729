from datetime import UTC, datetime

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


def test_values_that_arrive_again_replace_the_older_ones() -> None:
    vault = Vault(lambda: ["a"])
    vault.put(credentials("a", "old"))
    vault.put(credentials("a", "new"))

    kept = vault.get("a")

    assert kept is not None
    assert kept.access_key_id == "new"


def test_an_id_that_was_saved_and_has_no_value_is_missing() -> None:
    vault = Vault(lambda: ["a", "b"])
    vault.put(credentials("a"))
    assert vault.is_missing_any()
    vault.put(credentials("b"))
    assert not vault.is_missing_any()


def test_what_a_live_task_uses_is_not_forgotten() -> None:
    vault = Vault(lambda: ["a"])
    vault.put(credentials("a"))
    vault.put(credentials("b"))

    vault.forget(["a", "b", "never-heard-of"])

    assert vault.get("a") == credentials("a")
    assert vault.get("b") is None


def test_what_ends_with_a_task_is_not_kept_for_it() -> None:
    lives, ended = task("lives", Status.RUNNING), task("ended", Status.STOPPED)
    vault = Vault(lambda: ids_in_use([lives, ended]))
    vault.put(credentials("lives"))
    vault.put(credentials("ended"))

    vault.follow([lives, ended])

    assert ids_in_use([lives, ended]) == ["lives"]
    assert vault.get("lives") is not None
    assert vault.get("ended") is None


def test_a_vault_shows_no_value() -> None:
    vault = Vault(list)
    vault.put(credentials("a"))

    assert "PLANTED" not in f"{vault} {vault!r} {vault.get('a')} {vault.get('a')!r}"
