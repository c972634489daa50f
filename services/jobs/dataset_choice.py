"""The choice of a data set, or of several with weights, in the params of a job."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from services.names import MODEL_PATTERN, NAME_WORDS

_MOST_PARTS: Final = 16
_MOST_WEIGHT: Final = 1000.0
_REFERENCE: Final = re.compile(rf"{MODEL_PATTERN.strip('^$')}(@[0-9a-f]{{1,64}})?")


def _check_dataset(given: Any) -> Any:
    """Refuse what is neither a data set nor a mixture of some.

    Raises:
        ValueError: in words.
    """
    if isinstance(given, str):
        return _check_reference(given)
    if not isinstance(given, Mapping):
        raise ValueError(  # noqa: TRY004 pydantic reports a ValueError
            'a data set is a name, a mixture a mapping such as {"mnist": 1, "mine": 20}'
        )
    if not 1 <= len(given) <= _MOST_PARTS:
        raise ValueError(f"a mixture has 1 to {_MOST_PARTS} data sets")
    for reference, weight in given.items():
        _check_reference(reference)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= _MOST_WEIGHT:
            raise ValueError(
                f"the weight of {reference!r} should be a number above 0, and at most {_MOST_WEIGHT:g}"
            )
    return dict(given)


def _check_reference(reference: Any) -> str:
    if not isinstance(reference, str) or _REFERENCE.fullmatch(reference) is None:
        raise ValueError(
            f"a data set is named by {NAME_WORDS}; perhaps after its owner's name and '~', and before '@' and the "
            "number of a version or the begin of its sha256"
        )
    return reference


DatasetReference = Annotated[str, BeforeValidator(_check_reference)]
"""One data set."""
DatasetChoice = Annotated[str | dict[str, float], BeforeValidator(_check_dataset)]
"""A data set, or several with weights."""
