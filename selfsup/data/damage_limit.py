"""How many records damaged shards may lose before training on them ends."""

from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.data import pipeline


def count_whole_records(path):
    """How many records of a shard can be read, those behind its first damage not."""
    counted = pipeline.whole_records(files.native_path(path)).reduce(
        0, lambda count, _: count + 1
    )
    return int(counted)


class DamageLimit:
    """Ends a task's training when too many of its examples are stand-ins."""

    def __init__(self, name, source, fraction):
        """
        Args:
          name: the task.
          source: its `pipeline.RecordSource`.
          fraction: of an epoch's records, or of the examples seen where these are more.
        """
        self._name = name
        self._source = source
        self._fraction = fraction
        self._named = set()

    def check_before_training(self):
        """Counts what the shards lack whose size tells that they are damaged.

        Raises:
          UserError: when that is over the limit already.
        """
        shards = self._source.damaged
        counts = self._source.counts
        lost = sum(max(0, counts[shard] - self._whole(shard)) for shard in shards)
        if lost > self._fraction * self._source.records:
            raise UserError(
                f"{self._name}: {lost} of {self._source.records} records are lost in "
                f"damaged shards, {self._advice(shards)}"
            )

    def check_during_training(self, stand_ins, seen, shards):
        """Compares the stand-ins among the examples seen so far with the limit.

        Args:
          stand_ins: how many there were.
          seen: examples in all.
          shards: set of the indices of the damaged shards met.

        Returns:
          list of texts that name the shards not seen before.

        Raises:
          UserError: when there are too many.
        """
        if shards and stand_ins > self._fraction * max(seen, self._source.records):
            raise UserError(
                f"{self._name}: {stand_ins} of {seen} examples stood in for records "
                f"lost in damaged shards, {self._advice(shards)}"
            )
        new = sorted(shards - self._named)
        self._named |= shards
        return [self._describe(shard) for shard in new]

    def _advice(self, shards):
        named = "; ".join(self._describe(shard) for shard in sorted(shards))
        return (
            f"over the limit of --max_lost_fraction={self._fraction:g}: {named}. Delete "
            "them and run their builder's command again, which makes the missing shards "
            "anew; or raise --max_lost_fraction"
        )

    def _describe(self, shard):
        return (
            f"{self._source.files[shard]}: {self._whole(shard)} of "
            f"{self._source.counts[shard]} records can be read"
        )

    def _whole(self, shard):
        return count_whole_records(self._source.files[shard])
