"""A replica's share of the records that its task trains on."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class ReplicaShare:
    """Some of the shards of a `pipeline.RecordSource`, which it stands for in the pipeline.

    Attributes:
      files: their paths.
      counts: records in each.
      shards: their indices in the source.
    """

    files: list
    counts: list
    shards: tuple

    @property
    def records(self):
        return sum(self.counts)

    def source_indices(self, stand_ins):
        """Turns indices of the share's shards, or -1, to those of the source's shards."""
        shards = tf.constant([*self.shards, -1])
        return tf.gather(shards, tf.where(stand_ins < 0, len(self.shards), stand_ins))


def select_share(source, index, count):
    """Share `index` of `count` of a source's records: every count-th shard.

    With fewer shards than that, each has all of them, which replicas then read in
    orders of their own.
    """
    step = count if count <= len(source.files) else 1
    shards = range(index if step > 1 else 0, len(source.files), step)
    return ReplicaShare(
        [source.files[shard] for shard in shards],
        [source.counts[shard] for shard in shards],
        tuple(shards),
    )
