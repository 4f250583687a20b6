"""Checks of task configurations, whose values come from the command line."""

from selfsup.errors import UserError


def require(condition, task, key, value, expected):
    """Raises a `UserError` that names `task.key` unless `condition` holds."""
    if not condition:
        raise UserError(f"{task}.{key}={value!r}: expected {expected}")


def require_multiple(task, key, value, factor):
    """The value must be a positive multiple of `factor`."""
    expected = f"a positive multiple of {factor}"
    require(value > 0 and value % factor == 0, task, key, value, expected)
