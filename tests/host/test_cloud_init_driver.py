"""What cloud-init has left behind."""

from pathlib import Path

import pytest

from agent.host.cloud_init_driver import found_no_datasource


@pytest.mark.parametrize(
    ("text", "nothing"),
    [
        ('{"v1": {"datasource": "DataSourceNone", "errors": []}}', True),
        ('{"v1": {"datasource": "DataSourceEc2Local", "errors": []}}', False),
        ('{"v1": {"errors": []}}', False),
        ('{"v1": {"datasource": null}}', False),
        ('{"v1": "DataSourceNone"}', False),
        ("{}", False),
        ("", False),
        ("\x00\xff", False),
    ],
)
def test_only_a_result_that_says_so_means_that_there_was_nothing(tmp_path: Path, text: str, nothing: bool) -> None:  # noqa: FBT001
    path = tmp_path / "result.json"
    path.write_text(text, encoding="latin-1")
    assert found_no_datasource(path) is nothing


def test_without_cloud_init_nothing_is_wrong(tmp_path: Path) -> None:
    assert not found_no_datasource(tmp_path / "result.json")
    assert not found_no_datasource(tmp_path)
