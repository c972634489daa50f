"""Settings: what is misspelt or impossible refuses to start, and is named."""

from datetime import time
from pathlib import Path

import pytest

from services.errors import SettingsError
from services.settings import PREFIX, Settings, load_settings


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell that runs the tests may have some."""
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)


def test_without_variables_the_defaults_hold() -> None:
    settings = load_settings({})

    assert settings == Settings()
    assert settings.chip_id == "chip-1"


def test_a_variable_sets_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HXSERVE_BATCH_CROPS", "64")

    assert load_settings().batch_crops == 64


def test_a_flag_goes_before_a_variable_and_a_flag_not_given_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HXSERVE_PORT", "9")

    assert load_settings(port=7).port == 7
    assert load_settings(port=None).port == 9


@pytest.mark.parametrize("name", Settings.model_fields)
def test_what_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(PREFIX + name.upper(), "")

    assert load_settings({}, **{name: ""}) == Settings()
    assert load_settings() == Settings()
    assert load_settings().embeds_redis


def test_a_misspelt_variable_is_refused_with_the_right_name() -> None:
    with pytest.raises(
        SettingsError, match="unknown setting HXSERVE_REDIS_URI: did you mean HXSERVE_REDIS_URL"
    ):
        load_settings({"HXSERVE_REDIS_URI": "redis://x"})


def test_a_variable_like_no_other_is_refused_with_all_names() -> None:
    with pytest.raises(SettingsError, match="known are HXSERVE_ADMIN_TOKEN_FILE, HXSERVE_BATCH_CROPS"):
        load_settings({"HXSERVE_QQQQQQQQ": "1"})


def test_every_unknown_variable_is_named() -> None:
    with pytest.raises(SettingsError, match=r"HXSERVE_PROT.*HXSERVE_TREADS"):
        load_settings({"HXSERVE_TREADS": "1", "HXSERVE_PROT": "1"})


def test_variables_of_the_client_and_of_others_do_no_harm() -> None:
    environment = {"HXSERVE_URL": "http://x", "HXSERVE_TOKEN": "t", "HX_OTHER": "1", "PATH": "/bin"}

    assert load_settings(environment) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "70000"),
        ("port", "http"),
        ("chip", "quantum"),
        ("chip_id", "Chip 1"),
        ("chip_id", "../x"),
        ("batch_crops", "0"),
        ("lease_s", "0"),
        ("long_work_share", "1"),
        ("quantum_s", "nan"),
        ("keep_jobs_s", "inf"),
        ("save_every_s", "inf"),
        ("log_level", "loud"),
        ("redis_url", "http://127.0.0.1"),
        ("redis_url", "127.0.0.1:6379"),
    ],
)
def test_an_impossible_value_is_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(PREFIX + name.upper(), value)

    with pytest.raises(SettingsError, match=rf"settings \(HXSERVE_<NAME> or the flag\): {name}: "):
        load_settings()


def test_a_turn_as_long_as_three_quarters_of_the_lease_is_refused() -> None:
    assert load_settings({}, turn_s=2.9).lease_s == 4

    with pytest.raises(SettingsError, match=r"turn_s \(3\) must be less than three quarters .*, got 4\.0"):
        load_settings({}, turn_s=3)
    with pytest.raises(SettingsError, match=r"lower turn_s or raise lease_s, got 1\.2"):
        load_settings({}, lease_s=1.2)


@pytest.mark.parametrize("url", ["redis://h:1/0", "rediss://u:p@h:1/0", "unix:///run/redis.sock?db=1"])
def test_every_kind_of_redis_address_is_taken(url: str) -> None:
    assert load_settings({}, redis_url=url).redis_url == url


def test_a_setting_cannot_be_changed_later() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings({}).port = 1


def test_folders_follow_the_data_folder() -> None:
    settings = load_settings({}, data_dir=Path("/srv/hx"))

    assert settings.models_dir == Path("/srv/hx/models")
    assert settings.datasets_dir == Path("/srv/hx/datasets")
    assert settings.saves_dir == Path("/srv/hx/saves")
    assert settings.token_file == Path("/srv/hx/admin-token")


def test_the_token_file_can_be_elsewhere() -> None:
    settings = load_settings({}, admin_token_file=Path("/run/secrets/token"))

    assert settings.token_file == Path("/run/secrets/token")


def test_every_setting_has_a_default_that_is_valid() -> None:
    assert Settings.model_validate(Settings().model_dump()) == Settings()


def test_a_time_of_day_that_names_utc_is_taken_and_another_zone_is_refused() -> None:
    assert load_settings({}, calibrate_at="03:30Z").calibrate_at == time(3, 30)

    with pytest.raises(SettingsError, match="in UTC"):
        load_settings({}, calibrate_at="03:30+02:00")
