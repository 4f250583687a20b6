"""Checks of task configurations, whose values come from the command line, and of data."""

import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.data import records


def require(condition, task, key, value, expected):
    """Raises a `UserError` that names `task.key` unless `condition` holds."""
    if not condition:
        raise UserError(f"{task}.{key}={value!r}: expected {expected}")


def require_multiple(task, key, value, factor):
    """The value must be a positive multiple of `factor`."""
    expected = f"a positive multiple of {factor}"
    require(value > 0 and value % factor == 0, task, key, value, expected)


def require_set(condition, task, one, expected):
    """Raises a `UserError` that names the built set `one` unless `condition` holds."""
    if not condition:
        raise UserError(
            f"{task}: {one.directory}: has {len(one.labels)} classes "
            f"({', '.join(one.labels[:3])}, ...); expected {expected}"
        )


def valid_in_record(value, valid, record, expected):
    """A record's value, which the input pipeline fails on unless it is valid.

    Args:
      value: scalar tensor.
      valid: scalar bool tensor.
      record: dict from `pipeline.parse`.
      expected: text for the error, which names the record; see `records.BAD_RECORD`.

    Returns:
      `value`.
    """
    found = tf.strings.as_string(value)
    message = tf.strings.join(
        [
            f"{records.BAD_RECORD} ",
            record["key"],
            ": has ",
            found,
            f"; expected {expected}",
        ]
    )
    with tf.control_dependencies([tf.debugging.Assert(valid, [message])]):
        return tf.identity(value)
