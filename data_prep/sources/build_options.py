"""The options that every builder passes on to the writer."""

from __future__ import annotations

from typing import TypedDict


class BuildOptions(TypedDict, total=False):
    """Keyword arguments of `writer.build` that a builder of any source accepts.

    Attributes:
      num_shards: training shards; 0 chooses by the number of inputs.
      validation_fraction: share of the inputs to hold out.
      workers: worker processes; 0 takes one for each CPU.
      runner: "local" or "beam".
      beam_options: options for Apache Beam, as on a command line.
    """

    num_shards: int
    validation_fraction: float
    workers: int
    runner: str
    beam_options: str
