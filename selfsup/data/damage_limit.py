"""Ends training when damaged shards miss too many records."""

from __future__ import annotations

from collections.abc import Iterable

from selfsup.common import files
from selfsup.common.errors import UserError
from selfsup.data.pipeline import DatasetSplit
from selfsup.data.shard_reading import whole_records


def count_whole_records(path: str) -> int:
    """Returns the number of readable records before the first damage in a shard."""
    count = whole_records(files.native_path(path)).reduce(0, lambda count, _: count + 1)
    return int(count)


class DamageLimit:
    """Ends the training of a task when too many of its examples are replacements."""

    def __init__(self, name: str, source: DatasetSplit, fraction: float) -> None:
        """Sets the limit.

        Args:
          name: of the task, for errors.
          source: the records that the task trains on.
          fraction: greatest share of replacement examples: of the records in an epoch
            or, where more examples were seen, of these.
        """
        self._name = name
        self._source = source
        self._fraction = fraction
        self._reported: set[int] = set()

    def check_before_training(self) -> None:
        """Counts the records missing from shards that do not have their expected size.

        Raises:
          UserError: more records are missing than the limit allows.
        """
        shards = self._source.damaged
        counts = self._source.counts
        missing = sum(max(0, counts[shard] - self._readable(shard)) for shard in shards)
        if missing > self._fraction * self._source.records:
            raise UserError(
                f"{self._name}: {missing} of {self._source.records} records are missing "
                f"from damaged shards. {self._advice(shards)}"
            )

    def check_during_training(
        self, num_replacements: int, seen: int, shards: set[int]
    ) -> list[str]:
        """Compares the number of replacement examples with the limit.

        Args:
          num_replacements: number of replacement examples seen so far.
          seen: number of all examples seen so far.
          shards: indices of the damaged shards read so far.

        Returns:
          a text for each shard that no earlier call reported.

        Raises:
          UserError: there are more replacements than the limit allows.
        """
        if shards and num_replacements > self._fraction * max(
            seen, self._source.records
        ):
            raise UserError(
                f"{self._name}: {num_replacements} of {seen} examples replaced records "
                f"that are missing from damaged shards. {self._advice(shards)}"
            )
        new = sorted(shards - self._reported)
        self._reported |= shards
        return [self._describe(shard) for shard in new]

    def _advice(self, shards: Iterable[int]) -> str:
        described = "; ".join(self._describe(shard) for shard in sorted(shards))
        return (
            f"The limit is max_lost_fraction={self._fraction:g}. {described}. Delete "
            "these shards and run their builder's command again, which writes missing "
            "shards; or raise max_lost_fraction"
        )

    def _describe(self, shard: int) -> str:
        return (
            f"{self._source.files[shard]}: {self._readable(shard)} of "
            f"{self._source.counts[shard]} records can be read"
        )

    def _readable(self, shard: int) -> int:
        return count_whole_records(self._source.files[shard])
