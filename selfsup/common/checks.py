"""Checks of configuration values; all raise `UserError` in the same words.

A message reads "name=value: expected ...". Dataclasses call these functions from
`__post_init__`; commands add the flag's name.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Union

from selfsup.common.errors import UserError

Number = Union[int, float]


def require(condition: bool, name: str, value: object, expected: str) -> None:
    """Raises a `UserError` that names the field, its value and what was expected.

    Args:
      condition: whether the value is valid.
      name: of the field, such as "batch_size".
      value: of the field.
      expected: what the value has to be, such as "an even number".
    """
    if not condition:
        raise UserError(f"{name}={value!r}: expected {expected}")


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
      minimum: least valid value.
      above: value that is too small, where the range has no least value.
      maximum: greatest valid value.
      below: value that is too large, where the range has no greatest value.

    Example:
      >>> require_range("momentum", 1.5, minimum=0, below=1)
      Traceback (most recent call last):
        ...
      selfsup.common.errors.UserError: momentum=1.5: expected at least 0 and less than 1
    """
    bounds = []
    valid = value == value  # NaN is not equal to itself.
    if minimum is not None:
        valid = valid and value >= minimum
        bounds.append(f"at least {minimum}")
    if above is not None:
        valid = valid and value > above
        bounds.append(f"more than {above}")
    if maximum is not None:
        valid = valid and value <= maximum
        bounds.append(f"at most {maximum}")
    if below is not None:
        valid = valid and value < below
        bounds.append(f"less than {below}")
    require(valid, name, value, " and ".join(bounds))


def require_multiple(name: str, value: int, factor: int) -> None:
    """Requires a positive multiple of `factor`."""
    valid = value > 0 and value % factor == 0
    require(valid, name, value, f"a positive multiple of {factor}")


def require_choice(name: str, value: object, choices: Collection[object]) -> None:
    """Requires one of the values that `choices` lists."""
    listed = ", ".join(str(choice) for choice in choices)
    require(value in choices, name, value, f"one of {listed}")
