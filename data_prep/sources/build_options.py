"""The options that builders pass to `dataset_build.build`."""

from __future__ import annotations

from typing import TypedDict


class BuildOptions(TypedDict, total=False):
    """Keyword arguments of `dataset_build.build` that all builders accept.

    Attributes:
      num_shards: training shards; 0 chooses by the number of inputs.
      workers: worker processes; 0 takes one for each CPU.
      runner: "local" or "beam".
      beam_options: options for Apache Beam, as on a command line.
    """

    num_shards: int
    workers: int
    runner: str
    beam_options: str


class HoldOutOptions(BuildOptions, total=False):
    """The options of builders whose inputs have no splits of their own.

    Attributes:
      validation_fraction: share of the inputs to hold out.
    """

    validation_fraction: float
