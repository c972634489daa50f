"""docs/settings.md is what the settings class says."""

import re

from services.settings import Settings
from tests.docs.settings_page import PAGE, render_page


def test_the_page_is_what_the_command_writes() -> None:
    assert PAGE.read_text("utf-8") == render_page(), "run `python -m tests.docs.settings_page`"


def test_every_setting_stands_on_the_page_once() -> None:
    names = re.findall(r"^\| `HXSERVE_(\w+)`", render_page(), re.MULTILINE)

    assert names == [name.upper() for name in Settings.model_fields]


def test_every_setting_says_what_it_does_in_a_sentence() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description is not None, name
        assert field.description.endswith("."), name


def test_ranges_and_no_value_are_said() -> None:
    page = render_page()

    assert "| `HXSERVE_PORT` | integer, >= 0, <= 65535 | `8080` |" in page
    assert "| `HXSERVE_LONG_WORK_SHARE` | number, >= 0, < 1 | `0.2` |" in page
    assert "| `HXSERVE_USER_MAX_QUEUED_JOBS` | integer, >= 0, or `none` | `20` |" in page
    assert "| `HXSERVE_CALIBRATE_AT` | time of day, as 03:00, or `none` | `03:00` |" in page


def test_no_cell_of_the_tables_is_torn() -> None:
    rows = [line for line in render_page().splitlines() if line.startswith("|")]

    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {6}
