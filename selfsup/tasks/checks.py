"""Checks of task configurations, which users write, and of records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from selfsup.common import checks
from selfsup.common.errors import UserError
from selfsup.data import records

if TYPE_CHECKING:
    from selfsup.tasks.task import LabelledSet


def require(
    condition: bool, task: str, field: str, value: int | float | str, expected: str
) -> None:
    """Checks a field of a task's configuration.

    Args:
      condition: whether the value is valid.
      task: name of the task.
      field: name of the field.
      value: value of the field.
      expected: description of valid values, for the error message.

    Raises:
      UserError: unless `condition` holds; the message begins with `task.field=value`.
    """
    checks.require(condition, f"{task}.{field}", value, expected)


def require_multiple(task: str, field: str, value: int, factor: int) -> None:
    """Raises UserError unless the value is a positive multiple of `factor`."""
    checks.require_multiple(f"{task}.{field}", value, factor)


def require_labels(
    condition: bool, task: str, data_set: LabelledSet, expected: str
) -> None:
    """Checks the labels of a data set.

    Args:
      condition: whether the labels are valid.
      task: name of the task.
      data_set: the data set with the labels.
      expected: description of valid labels, for the error message.

    Raises:
      UserError: unless `condition` holds; the message names the data set's folder.
    """
    if not condition:
        raise UserError(
            f"{task}: {data_set.directory}: has {len(data_set.labels)} classes "
            f"({', '.join(data_set.labels[:3])}, ...); expected {expected}"
        )


def require_in_record(
    value: tf.Tensor, condition: tf.Tensor, record: dict[str, tf.Tensor], expected: str
) -> tf.Tensor:
    """Returns a value of a record and makes the input pipeline fail if it is invalid.

    The error message begins with `records.BAD_RECORD` and the key of the record.

    Args:
      value: scalar of any dtype.
      condition: bool scalar, whether the value is valid.
      record: tensors by name, from `pipeline.parse`.
      expected: description of valid values, for the error message.

    Returns:
      `value`.
    """
    message = tf.strings.join(
        [
            f"{records.BAD_RECORD} ",
            record["key"],
            ": has ",
            tf.strings.as_string(value),
            f"; expected {expected}",
        ]
    )
    with tf.control_dependencies([tf.debugging.Assert(condition, [message])]):
        return tf.identity(value)
