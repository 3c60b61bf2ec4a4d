"""Quantities that are none, and what to write in their place."""

import pytest

from everstep_api.reading import Unreadable, read
from everstep_api.workers import Resources

NO_QUANTITY = "'%s' is not a quantity; write a number of 0 or more with or without a unit, such as 8, 500m or 64Gi"
FRACTION = '%s is a fraction, which only text can hold here; write "%s" in quotes'
REFUSED: dict[str, tuple[object, str]] = {
    "half a CPU as a number": (0.5, f"{FRACTION % (0.5, 0.5)} or 500m"),
    "a fraction without whole thousandths": (0.0625, f"{FRACTION % (0.0625, 0.0625)}"),
    "a negative fraction": (-0.5, NO_QUANTITY % "-0.5"),
    "a truth": (True, NO_QUANTITY % "True"),
    "a unit that there is not": ("64GiB", NO_QUANTITY % "64GiB"),
    "33 digits": ("1" * 33, f"'{'1' * 33}' has more than 32 characters; write it shorter, with a unit such as Gi"),
}


@pytest.mark.parametrize(("value", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_quantity_is_refused_with_what_to_write(value: object, sentence: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read(Resources, {"limits": {"cpu": value}})
    assert refused.value.problems == ((("limits", "cpu"), f": {sentence}"),)
