"""Checks of configuration values; all raise `SettingError` in the same words.

A message reads "name=value: expected ...". Dataclasses call these functions from
`__post_init__`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Union

from selfsup.common.errors import SettingError

Number = Union[int, float]


def require(condition: bool, name: str, value: object, expected: str) -> None:
    """Raises a `SettingError` that names the field, its value and what was expected.

    Args:
      condition: whether the value is valid.
      name: of the field, such as "batch_size".
      value: of the field.
      expected: what the value has to be, such as "an even number".
    """
    if not condition:
        raise SettingError(f"{name}={value}", f"expected {expected}")


def require_range(
    name: str,
    value: Number,
    *,
    minimum: Number | None = None,
    above: Number | None = None,
    maximum: Number | None = None,
    below: Number | None = None,
) -> None:
    """Requires a number inside a range; NaN is in none.

    Args:
      name: of the field.
      value: of the field.
      minimum: least valid value. Give this or `above`.
      above: value that is just too small, such as 0 for positive numbers.
      maximum: greatest valid value.
      below: value that is just too large.

    Example:
      >>> require_range("momentum", 1.5, minimum=0, below=1)
      Traceback (most recent call last):
        ...
      selfsup.common.errors.SettingError: momentum=1.5: expected 0 to less than 1
    """
    # Written so that comparisons with NaN fail.
    valid = (
        (minimum is None or value >= minimum)
        and (above is None or value > above)
        and (maximum is None or value <= maximum)
        and (below is None or value < below)
    )
    lower = f"more than {above}" if minimum is None else f"{minimum}"
    upper = f"less than {below}" if maximum is None else f"{maximum}"
    if maximum is not None or below is not None:
        expected = f"{lower} to {upper}"
    else:
        expected = lower if minimum is None else f"{lower} or more"
    require(valid, name, value, expected)


def require_multiple(name: str, value: int, factor: int) -> None:
    """Requires a positive multiple of `factor`."""
    valid = value > 0 and value % factor == 0
    require(valid, name, value, f"a positive multiple of {factor}")


def require_choice(name: str, value: object, choices: Collection[object]) -> None:
    """Requires one of the values that `choices` lists."""
    listed = ", ".join(str(choice) for choice in choices)
    require(value in choices, name, value, f"one of {listed}")
