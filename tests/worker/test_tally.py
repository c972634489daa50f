"""What a worker counts of its chip calls."""

import json

from services.crops.statistics import BATCH_BOUNDS, Distribution
from worker.tally import BatchTally


def test_a_tally_survives_its_way_through_redis() -> None:
    tally = BatchTally()
    for crops in (1, 2, 3, 5000):
        tally.note("digits", crops, 0.01)

    told = json.loads(json.dumps(tally.describe()))

    sizes = Distribution.from_json(BATCH_BOUNDS, told["batch_crops"])
    assert (sizes.counts[:3], sizes.counts[-1], sizes.sum) == ([1, 1, 1], 1, 5006)
    assert told["crops"] == {"digits": 5006}


def test_models_beyond_a_hundred_are_counted_together() -> None:
    tally = BatchTally()
    for number in range(120):
        tally.note(f"model{number}", 1, 0.01)

    crops = tally.describe()["crops"]

    assert (len(crops), crops["other"], crops["model0"]) == (101, 20, 1)
