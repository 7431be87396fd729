import tempfile
from pathlib import Path

from tests import planted


def test_a_secret_in_a_log_is_found_wherever_it_lies_and_whoever_made_it() -> None:
    with tempfile.TemporaryDirectory() as name:  # not where the session looks for real ones
        folder = Path(name)
        (folder / "plane/agent-keys").mkdir(parents=True)
        (folder / "plane/keys.json").write_text(
            '{"operator": {"access_key_id": "AKIA1", "secret_access_key": "first-secret"}}'
        )
        (folder / "plane/agent-keys/AKIA2").write_text('{"access_key_id": "AKIA2", "secret_access_key": "second-one"}')
        log = "a\nkey=AKIA1 first-secret\nb second-one\ntoken {role}\npassword=hush-1\nPLANTED-VALUE\nAKIA2\n"
        (folder / "agent.log.1").write_text(log.replace("{role}", planted.ROLE_TOKEN + "x.y"))
        (folder / "notes").write_text("first-secret")
        (folder / "link.log").symlink_to("agent.log.1")

        found = planted.leaks(folder)

    assert [line.partition("agent.log.1: ")[2][:14] for line in found] == [
        "key=AKIA1 firs",
        "b second-one",
        "token eyJ0YXNr",
        "password=hush-",
        "PLANTED-VALUE",
    ]


def test_the_secrets_of_an_answer_are_those_of_its_members() -> None:
    answer = '{"AccessKeyId":"ASIA1","SecretAccessKey" : "abcdefgh12","Token":"short","RoleArn":"arn:r"}'

    assert planted._MEMBERS.findall(answer) == ["abcdefgh12", "short"]
