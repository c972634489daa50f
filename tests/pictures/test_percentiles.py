"""Percentiles are numpy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hxserve_pictures.percentiles import percentile_of_few, percentiles_of_plane

_properties = settings(deadline=None, max_examples=100)
_percents = st.floats(0, 100)


@_properties
@given(values=st.lists(st.integers(0, 1000), min_size=1, max_size=50), percent=_percents)
def test_few_values_have_the_percentile_of_numpy(values: list[int], percent: float) -> None:
    found = percentile_of_few(np.array(values, np.int32), percent)

    assert found == pytest.approx(np.percentile(values, percent))


@_properties
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 30), most=st.integers(0, 255), percent=_percents)
def test_a_plane_has_the_percentiles_of_numpy(seed: int, height: int, most: int, percent: float) -> None:
    random = np.random.default_rng(seed)
    plane, mask = (
        random.integers(0, most + 1, (height, 20), np.uint8),
        random.integers(0, 2, (height, 20), np.uint8),
    )
    mask[0, 0] = 1

    assert percentiles_of_plane(plane, percent, 50) == pytest.approx(
        [np.percentile(plane, percent), np.median(plane)]
    )
    assert percentiles_of_plane(plane, percent, mask=mask) == pytest.approx(
        [np.percentile(plane[mask > 0], percent)]
    )
