import pytest

from agent.cli.run_options import NOT_OFFERED, parse, variables


@pytest.mark.parametrize("dash", ["-", "--"])
def test_options_of_the_reference_agent_stand_for_settings(dash: str) -> None:
    def given(*arguments: str) -> dict[str, str]:
        return variables(parse(arguments))

    assert given() == {}
    assert given(f"{dash}loglevel", "warn") == {"ECS_LOGLEVEL": "warn", "ECS_LOGLEVEL_ON_INSTANCE": "warn"}
    assert given(f"{dash}loglevel-driver", "warn") == {"ECS_LOGLEVEL": "warn"}
    assert given(f"{dash}loglevel-on-instance=warn") == {"ECS_LOGLEVEL_ON_INSTANCE": "warn"}
    assert given(f"{dash}loglevel=info", f"{dash}loglevel-driver=warn")["ECS_LOGLEVEL"] == "info"
    assert given("-k") == {"ECS_ACCEPT_INSECURE_CERT": "true"}
    assert given(f"{dash}blackhole-ec2-metadata") == {"AWS_EC2_METADATA_DISABLED": "true"}
    assert parse([f"{dash}version"]).version


@pytest.mark.parametrize("name", NOT_OFFERED)
def test_an_option_that_is_not_taken_says_what_to_do_instead(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse([f"-{name}"])

    assert end.value.code == 5
    assert NOT_OFFERED[name] in capsys.readouterr().err
