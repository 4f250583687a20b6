import math

import pytest

from selfsup.common import checks
from selfsup.common.errors import UserError


@pytest.mark.parametrize(
    "value, bounds, expected",
    [
        (-1, {"minimum": 0}, "steps=-1: expected 0 or more"),
        (0, {"above": 0}, "steps=0: expected more than 0"),
        (1.0, {"minimum": 0, "below": 1}, "expected 0 to less than 1"),
        (2, {"above": 0, "maximum": 1}, "expected more than 0 to 1"),
        (math.nan, {"minimum": 0}, "steps=nan: expected 0 or more"),
    ],
)
def test_a_number_out_of_range_is_refused(value, bounds, expected):
    with pytest.raises(UserError, match=expected):
        checks.require_range("steps", value, **bounds)


def test_bounds_are_valid_where_they_are_inclusive():
    checks.require_range("share", 0, minimum=0, maximum=1)
    checks.require_range("share", 1, minimum=0, maximum=1)


@pytest.mark.parametrize("value", [0, -8, 12])
def test_a_number_that_is_no_multiple_is_refused(value):
    with pytest.raises(UserError, match="expected a positive multiple of 8"):
        checks.require_multiple("size", value, 8)


def test_choices_are_listed():
    checks.require_choice("stride", 8, (8, 16))
    with pytest.raises(UserError, match="stride=32: expected one of 8, 16"):
        checks.require_choice("stride", 32, (8, 16))
