"""One pass over a split that reads every record exactly once, or raises an error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.data import pipeline


def serialized_records(source: pipeline.DatasetSplit) -> tf.data.Dataset:
    """Reads the records of one split in file order.

    Unlike `pipeline.one_pass`, this pass never puts another record in the place of a
    damaged one: a metric that is measured on other records than its name says would be
    wrong. Iterate over the result inside `damage_explained`.

    Args:
      source: the shards of the split.

    Returns:
      tf.data.Dataset of serialized records, scalar strings.
    """
    return tf.data.TFRecordDataset(pipeline.native_paths(source))


@contextlib.contextmanager
def damage_explained(source: pipeline.DatasetSplit) -> Iterator[None]:
    """Turns a damaged shard into a `UserError` that names the shard.

    The sizes of the shards are compared with the manifest first, because TensorFlow may
    read a shortened shard to its end without an error.

    Args:
      source: the shards that the body of the `with` statement reads.

    Raises:
      UserError: when a shard has another size than its manifest says, is missing or
        cannot be read.
    """
    damaged = [source.files[index] for index in source.damaged]
    if damaged:
        raise _error("not of the size that the manifest says", damaged)
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.NotFoundError) as error:
        raise _error(error.message, source.files) from error


def _error(reason: str, files: Sequence[str]) -> UserError:
    return UserError(
        f"a shard is damaged ({reason}), so nothing was measured. It is one of "
        f"{', '.join(files)}. Run python -m data_prep.inspect DIR --verify to find the "
        "shard, delete it, and run the command that built the data set again"
    )
