"""Each row of the table of settings: what a value does, where its bounds are, and which place beats which."""

from dataclasses import replace

import pytest

from agent.config.load import FOUND, BadSettings, settle, toml_source
from agent.config.openness import forgive, says_when_wrong
from agent.config.reference import SETTINGS, Setting
from agent.config.settings import Settings
from agent.config.sources import Form, Given, Source
from agent.config.written import toml_text
from tests.config.table import ENDS_THE_START, NOT_GIVEN, TABLE, Row

BY_VARIABLE = {variable: setting for setting in SETTINGS for variable in setting.variables}
EASY_MARKS = {"DOCKWORKER_DISK_LOW_WATERMARK": "1", "DOCKWORKER_DISK_CRITICAL_WATERMARK": "100"}
TYPE, DATA = {"ECS_ENGINE_AUTH_TYPE": "docker"}, {"ECS_ENGINE_AUTH_DATA": '{"q": {"username": "u", "password": "p"}}'}
BESIDE = {"ECS_ENGINE_AUTH_TYPE": DATA, "ECS_ENGINE_AUTH_DATA": TYPE}
"""What must be given for a setting to make sense."""


def test_the_table_has_every_variable_once() -> None:
    assert sorted(row.variable for row in TABLE) == sorted(BY_VARIABLE)


def text(name: str, value: object, where: str = "environment") -> Source:
    others = EASY_MARKS if name.startswith("DOCKWORKER_DISK_") else {}
    return Source(where, Form.TEXT, {**others, name: str(value)})


def toml(setting: Setting, name: str, row: Row) -> Source:
    section, key = setting.keys[setting.variables.index(name)].split(".")
    written = row.toml or toml_text(row.value if setting.field != "dynamic_host_port_range" else row.text)
    return toml_source(f"[{section}]\n{key} = {written}", "config.toml")


def json(setting: Setting, value: object, where: str = "json") -> Source:
    return Source(where, Form.JSON, {setting.json.lower(): value})


def got(setting: Setting, *sources: Source, strict: bool = True) -> object:
    return getattr(settle(Given((beside(setting), *sources), strict=strict)).settings, setting.field)


def beside(setting: Setting) -> Source:
    return Source("beside", Form.TEXT, BESIDE.get(setting.variables[0], {}))


def refused(*sources: Source, strict: bool) -> str:
    with pytest.raises(BadSettings) as bad:
        settle(Given(sources, strict=strict))
    (complaint,) = bad.value.complaints
    return complaint


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.variable)
def test_a_setting_is_read_bounded_and_beaten_as_the_table_says(row: Row) -> None:
    setting = BY_VARIABLE[row.variable]
    assert setting.field == row.name
    default = getattr(Settings(), row.name)
    assert row.value != default

    assert got(setting, text(row.variable, row.text)) == row.value
    assert got(setting, text(row.variable, ""), strict=False) == default
    assert got(setting, toml(setting, row.variable, row)) == row.value
    assert bool(setting.json) == (row.json is not None) or setting.variables[0] != row.variable
    if row.json is not None:
        assert got(setting, json(setting, row.json)) == row.value
        assert got(setting, json(setting, None), strict=False) == default

    for written, becomes in row.bad.items():
        _is_bounded(setting, text(row.variable, written), row.variable, becomes, default)
    for value, becomes in row.json_bad:
        _is_bounded(setting, json(setting, value), setting.json, becomes, default)
    _beats_what_is_weaker(setting, row)


def _is_bounded(setting: Setting, source: Source, name: str, becomes: object, default: object) -> None:
    complaint = refused(source, strict=True)
    assert complaint.startswith(f"{source.name}: {name}")
    assert ": must be " in complaint
    if becomes is ENDS_THE_START:
        assert refused(source, strict=False) == complaint
        return
    loaded = settle(Given((source,), strict=False))
    value = getattr(loaded.settings, setting.field)
    assert value == (default if becomes is NOT_GIVEN else becomes)
    (remark,) = loaded.remarks
    assert remark.startswith(f"{complaint}; ")


def _beats_what_is_weaker(setting: Setting, row: Row) -> None:
    """One place after the other says the good value; the one before it says what is found weaker."""
    places = [text(row.variable, row.text, FOUND)]
    if row.json is not None:
        places += [json(setting, row.json, "EC2 user data"), json(setting, row.json, "/etc/ecs/ecs.config.json")]
    places += [
        text(row.variable, row.text, "/var/lib/ecs/ecs.config"),
        text(row.variable, row.text, "/etc/ecs/ecs.config"),
    ]
    places += [toml(setting, row.variable, row), text(row.variable, row.text, "environment")]
    for strongest in range(1, len(places) + 1):
        loaded = settle(Given((beside(setting), *places[:strongest])))
        assert loaded.origins[setting.field].source == places[strongest - 1].name
    if row.zero:
        lower = json(setting, row.json)
        assert got(setting, lower, text(row.variable, row.zero)) == row.value, (
            "a zero loses to the JSON, as it does there"
        )
    elif row.json is not None and isinstance(row.value, bool):
        answer = str(not row.value).lower()
        assert got(setting, json(setting, row.json), text(row.variable, answer)) is (not row.value)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.variable)
def test_the_page_tells_what_becomes_of_a_value_that_is_wrong(row: Row) -> None:
    setting = BY_VARIABLE[row.variable]
    said = says_when_wrong(replace(setting, variables=(row.variable,)))

    for written, becomes in row.bad.items():
        forgiven = forgive(setting, text(row.variable, written), row.variable, written)
        if becomes is ENDS_THE_START:
            assert forgiven is None
            assert "error" in said
        elif becomes is NOT_GIVEN:
            assert forgiven is not None
            assert "not given" in said or said == "words that are known are kept"
        else:
            assert said != "not given"
