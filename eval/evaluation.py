"""The interface of evaluations: what an evaluation adds to the loop that all share."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import tensorflow as tf

from eval.json_types import JsonObject
from eval.settings import Config, ConfigT, Preset, Settings
from eval.trunks import Pretrained
from selfsup.common.stop_signals import StopSignals

ResultsT = TypeVar("ResultsT")


@dataclasses.dataclass(frozen=True)
class Report:
    """The results of an evaluation, for metrics.json.

    Attributes:
      metrics: finite numbers by name, the headline among them.
      chance: chance level by the last word of a metric's name ("top1" serves "top1" and
        "neighbours_top1"); empty if the evaluation has none.
      details: results that are more than one number, as JSON values.
      remarks: sentences for the reader of the results.
      alpha: the evaluation's row of alpha, or None without the lasso.
    """

    metrics: Mapping[str, float]
    chance: Mapping[str, float] = dataclasses.field(default_factory=dict)
    details: JsonObject = dataclasses.field(default_factory=dict)
    remarks: Sequence[str] = ()
    alpha: Sequence[float] | None = None


class Evaluation(abc.ABC, Generic[ConfigT, ResultsT]):
    """One way to measure a trunk (paper section 5).

    `evaluation_run` calls the methods in this order: `find_data`, `build`, `prepare` (only
    in a run without a checkpoint), `before_training`, `step` for each of the batches of
    `training_batches`, `test`, `save_predictions`, `draw`, `report`, `clean_up`.

    A subclass is one line in `registry.EVALUATIONS`.

    Class attributes:
      name: name of the evaluation.
      headline: name of the metric that the paper's charts show.
      curves: keys of the training history that pictures/curves.png shows.
      config_class: class of the hyperparameters.
      presets: presets by name: "paper", "small" and "tiny".

    Attributes:
      settings: settings of the run. `find_data` may complete them.
      folder: output folder of the run, locked.
      stop: the signals that stop the run, already entered as a context.
      data: description of the data for metrics.json, set after `build` and `prepare`.
    """

    name: ClassVar[str]
    headline: ClassVar[str]
    curves: ClassVar[tuple[str, ...]] = ("loss",)
    config_class: ClassVar[type[Config]]
    presets: ClassVar[Mapping[str, Preset]]

    def __init__(
        self, settings: Settings[ConfigT], folder: str, stop: StopSignals
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.stop = stop
        self.data: JsonObject = {}

    @property
    def config(self) -> ConfigT:
        """The hyperparameters."""
        return self.settings.config

    @property
    def output_stride(self) -> int:
        """Output stride at which the trunk is loaded: 8, 16 or 32."""
        return 16

    @abc.abstractmethod
    def find_data(self) -> JsonObject:
        """Finds the data set.

        Returns:
          its description for metrics.json, with a "checksum": a run is resumed only on
          data of the same checksum.

        Raises:
          UserError: when the data set is missing or cannot be used.
        """

    @abc.abstractmethod
    def build(self, pretrained: Pretrained) -> tf.Module:
        """Builds the network and its optimizer.

        Args:
          pretrained: the trunk to evaluate.

        Returns:
          a module that tracks all variables, for checkpoints.
        """

    def describe_trunk(self, pretrained: Pretrained) -> JsonObject:
        """Describes the trunk for metrics.json."""
        return pretrained.description

    def prepare(self) -> JsonObject:
        """Measures what a run needs to measure once, before its first step.

        Returns:
          fields to add to the description of the data; checkpoints store them.
        """
        return {}

    def before_training(self) -> None:
        """Prepares each start of training, resumed or not."""

    @abc.abstractmethod
    def training_batches(self, position: int) -> tf.data.Dataset:
        """Returns an endless dataset of batches after `position` examples were consumed.

        Its elements are dicts of tensors with the key `pipeline.REPLACED_SHARD`.
        """

    @abc.abstractmethod
    def step(
        self, examples: dict[str, tf.Tensor], number: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Takes one training step.

        Args:
          examples: one batch of `training_batches`, without `pipeline.REPLACED_SHARD`.
          number: number of the step, an int32 scalar.

        Returns:
          scalars by name, "loss" among them.
        """

    @abc.abstractmethod
    def test(self) -> ResultsT:
        """Tests the trained network on the test split.

        Raises:
          UserError: when a shard is damaged.
          Stopped: when a signal arrives.
        """

    @abc.abstractmethod
    def save_predictions(self, results: ResultsT) -> None:
        """Writes the predictions into the output folder."""

    @abc.abstractmethod
    def draw(self, results: ResultsT) -> None:
        """Writes pictures of the predictions. `tf.summary` writes to TensorBoard here."""

    @abc.abstractmethod
    def report(self, results: ResultsT) -> Report:
        """Computes the metrics of the test."""

    def clean_up(self) -> None:
        """Removes files that only an unfinished run needs."""


# An evaluation of any hyperparameters and results.
AnyEvaluation = Evaluation[Any, Any]
