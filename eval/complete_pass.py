"""One pass over a split for measuring: every record once, or an error."""

import contextlib

import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.data import pipeline


def serialized_records(source):
    """The records of a `pipeline.RecordSource` in file order: tf.data.Dataset of strings.

    Unlike `pipeline.one_pass` nothing stands in for records that damage has taken: a
    metric over other records than its name says would be wrong. Iterate it inside of
    `damage_explained`.
    """
    return tf.data.TFRecordDataset(pipeline.native_paths(source))


@contextlib.contextmanager
def damage_explained(source):
    """Turns damage, found before or while it is read, into a `UserError` that names it.

    A shard of another size than its manifest says may end without an error.
    """
    damaged = [source.files[index] for index in source.damaged]
    if damaged:
        raise _error("not of the size that the manifest says", damaged)
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.NotFoundError) as error:
        raise _error(error.message, source.files) from error


def _error(reason, files):
    return UserError(
        f"a shard is damaged, so nothing was measured: {reason}; it is among "
        f"{', '.join(files)}. python -m data_prep.inspect DIR --verify says which; "
        "delete it and run its builder's command again"
    )
