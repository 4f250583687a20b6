"""Divides the records that a task trains on among its replicas."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from selfsup.data.shard_reading import RecordSource


@dataclasses.dataclass(frozen=True)
class ReplicaShare:
    """Some shards of a source; a `RecordSource` itself.

    Attributes:
      files: paths of the shards.
      counts: number of records in each shard.
      shards: index of each shard in the source.
    """

    files: list[str]
    counts: list[int]
    shards: tuple[int, ...]

    @property
    def records(self) -> int:
        """Number of records in all shards of the share."""
        return sum(self.counts)

    def source_indices(self, replaced_shards: tf.Tensor) -> tf.Tensor:
        """Converts indices of shards in the share to indices in the source.

        Args:
          replaced_shards: int32 [B], values of `pipeline.REPLACED_SHARD`; -1 stays -1.

        Returns:
          int32 [B].
        """
        shards = tf.constant([*self.shards, -1])
        last = len(self.shards)
        return tf.gather(shards, tf.where(replaced_shards < 0, last, replaced_shards))


def select_share(source: RecordSource, index: int, count: int) -> ReplicaShare:
    """Selects the shards of a replica: every `count`-th shard of a source.

    A source with fewer shards than replicas gives all its shards to each replica; the
    replicas read them in different orders, because their seeds differ.

    Args:
      source: the records of the task.
      index: of the replica, from 0.
      count: number of replicas.
    """
    step = count if count <= len(source.files) else 1
    shards = range(index if step > 1 else 0, len(source.files), step)
    return ReplicaShare(
        [source.files[shard] for shard in shards],
        [source.counts[shard] for shard in shards],
        tuple(shards),
    )
