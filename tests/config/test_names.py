import pytest

from agent.config.known import UNHEEDED, Unheeded
from agent.config.load import BadSettings, settle
from agent.config.names import why
from agent.config.reference import SETTINGS
from agent.config.sources import Form, Given, Source


def variables(**values: str) -> Source:
    return Source("environment", Form.TEXT, values)


@pytest.mark.parametrize("one", UNHEEDED, ids=lambda one: one.variable or one.json)
def test_what_is_known_and_not_acted_on_is_named_with_the_reason(one: Unheeded) -> None:
    asked = "false" if one.means_nothing >= {"true"} else "7"
    sources = [variables(**{one.variable: asked})] if one.variable else []
    sources += [Source("file", Form.JSON, {one.json.lower(): asked})] if one.json else []

    loaded = settle(Given(tuple(sources)))

    assert set(loaded.settings.not_honoured) == {one.variable, one.json} - {""}
    assert {why(name) for name in loaded.settings.not_honoured} == {one.because}
    assert one.because.startswith(("cannot apply: ", "is not here yet: "))


def test_images_that_are_fetched_at_once_though_that_is_not_wanted_are_told_of() -> None:
    source = variables(ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT="false")

    assert settle(Given((source,))).settings.not_honoured == ("ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT",)


def test_nothing_is_both_a_setting_and_not_acted_on() -> None:
    ours = {name for setting in SETTINGS for name in (*setting.variables, setting.json.lower())}

    assert not ours & {name for one in UNHEEDED for name in (one.variable, one.json.lower()) if name}


@pytest.mark.parametrize(
    "given",
    [
        {"ECS_ENABLE_TASK_ENI": "false"},
        {"ECS_ENABLE_TASK_ENI": ""},
        {"ECS_CHECKPOINT": "true"},
        {"ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT": "true"},
        {"ECS_DISABLE_METRICS": "0"},
    ],
)
def test_nothing_is_said_of_a_value_that_asks_for_what_is_done_anyway(given: dict[str, str]) -> None:
    assert settle(Given((variables(**given),))).settings.not_honoured == ()


def test_an_unknown_name_is_a_remark_where_settings_are_open_and_a_complaint_where_they_are_strict() -> None:
    source = variables(ECS_RESERVED_MEMRY="7", NON_ECS_X="7", OTHER="7")

    remarks = settle(Given((source,), strict=False)).remarks

    assert [remark.partition(":")[0] for remark in remarks] == ["environment", "environment"]
    assert remarks[0].endswith("ECS_RESERVED_MEMRY: there is no such setting; did you mean ECS_RESERVED_MEMORY?")
    with pytest.raises(BadSettings) as bad:
        settle(Given((source,)))
    assert bad.value.complaints == remarks


def test_an_unknown_name_of_our_own_is_a_complaint_everywhere() -> None:
    with pytest.raises(BadSettings, match="DOCKWORKER_LOG_FORMAT"):
        settle(Given((variables(DOCKWORKER_LOG_FROMAT="json"),), strict=False))


def test_what_agents_tell_to_tasks_is_no_setting() -> None:
    source = variables(ECS_CONTAINER_METADATA_URI_V4="http://169.254.170.2/v4/x", ECS_AGENT_URI="http://x")

    assert settle(Given((source,))).remarks == ()
