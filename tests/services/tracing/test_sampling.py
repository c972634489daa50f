"""Sampling: the variables of OpenTelemetry, and which requests they choose."""

import pytest

from services.errors import SettingsError
from services.tracing.sampling import Sampling

SAMPLED = f"00-{'a' * 32}-{'b' * 16}-01"
UNSAMPLED = f"00-{'a' * 32}-{'b' * 16}-00"
LOW_ID = f"00-{'a' * 16}{'0' * 15}1-{'b' * 16}-00"


def _sampling(name: str = "", argument: str = "") -> Sampling:
    return Sampling.of_environment({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument})


@pytest.mark.parametrize(
    ("name", "argument", "ratio", "follows_clients"),
    [
        ("", "", 1.0, True),
        ("always_on", "", 1.0, False),
        ("always_off", "0.5", 0.0, False),
        ("traceidratio", "0.25", 0.25, False),
        ("parentbased_traceidratio", "0.01", 0.01, True),
        ("parentbased_traceidratio", "", 1.0, True),
        ("parentbased_always_off", "", 0.0, True),
    ],
)
def test_the_variables_mean_what_opentelemetry_says(
    name: str, argument: str, ratio: float, follows_clients: bool
) -> None:
    assert _sampling(name, argument) == Sampling(ratio, follows_clients)


@pytest.mark.parametrize(
    ("name", "argument"), [("alway_on", ""), ("traceidratio", "1 %"), ("traceidratio", "2")]
)
def test_an_impossible_value_is_refused_with_its_name(name: str, argument: str) -> None:
    with pytest.raises(SettingsError, match="OTEL_TRACES_SAMPLER"):
        _sampling(name, argument)


def test_a_client_that_sends_a_trace_decides_where_that_is_followed() -> None:
    never, always = _sampling("parentbased_always_off"), _sampling("parentbased_always_on")

    assert never.takes(SAMPLED)
    assert not always.takes(UNSAMPLED)
    assert not never.takes(None)
    assert always.takes(None)


def test_by_the_ratio_alone_the_id_of_a_trace_decides() -> None:
    half = _sampling("traceidratio", "0.5")

    assert half.takes(LOW_ID)
    assert not half.takes(SAMPLED)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        SAMPLED.upper(),
        f"ff{SAMPLED[2:]}",
        f"00-{'0' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'0' * 16}-01",
    ],
)
def test_a_header_that_names_no_trace_decides_nothing(header: str) -> None:
    assert _sampling("parentbased_always_on").takes(header)
    assert not _sampling("parentbased_always_off").takes(header)


def test_a_share_of_requests_is_about_the_ratio() -> None:
    tenth = _sampling("parentbased_traceidratio", "0.1")

    taken = sum(tenth.takes(None) for _ in range(20_000))

    assert 1_600 < taken < 2_400
