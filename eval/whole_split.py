"""One pass over a split for measuring: every record once, or an error."""

import contextlib

import tensorflow as tf

from selfsup.errors import UserError


def serialized_records(source):
    """The records of a `pipeline.Source` in file order: tf.data.Dataset of strings.

    Unlike `pipeline.one_pass` nothing stands in for records that damage has taken: a
    metric over other records than its name says would be wrong. Iterate it inside of
    `damage_explained`.
    """
    return tf.data.TFRecordDataset(source.files)


@contextlib.contextmanager
def damage_explained(source):
    """Turns TensorFlow's error for a damaged shard into a `UserError` that names it."""
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.NotFoundError) as error:
        damaged = [source.files[index] for index in source.damaged] or source.files
        raise UserError(
            f"a shard is damaged, so nothing was measured: {error.message}; it is among "
            f"{', '.join(damaged)}. python -m data_prep.inspect DIR --verify says which; "
            "delete it and run its builder's command again"
        ) from error
