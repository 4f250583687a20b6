"""The course that depth and surface normals share: all weights learn to predict a map."""

from __future__ import annotations

import abc
import dataclasses

import tensorflow as tf

from eval.evaluation import Evaluation, ResultsT
from eval.json_types import JsonObject
from eval.nyuv2_depth.config import DenseConfigT
from eval.nyuv2_depth.dataset import DepthDataset
from eval.nyuv2_depth.network import OUTPUT_STRIDE
from eval.nyuv2_depth.trainer import DenseTrainer
from eval.trunk_features import TrunkFeatures
from eval.trunks import Pretrained
from eval.watched_batches import watched
from selfsup.keras import keras
from selfsup.trunk.batch_norm_recalibration import recalibrate_batch_norm


class DenseEvaluation(Evaluation[DenseConfigT, ResultsT]):
    """Fine-tunes a trunk and up-projections on photos with depth.

    Attributes:
      trainer: the network and its optimizer, after `build`.
      dataset: the data, after `find_data`.
    """

    trainer: DenseTrainer
    dataset: DepthDataset

    def open_data(self) -> DepthDataset:
        """Opens the built sets that the settings name."""
        return DepthDataset(self.settings.data, self.config)

    @abc.abstractmethod
    def make_trainer(self, features: TrunkFeatures) -> DenseTrainer:
        """Makes the network on the trunk's features, and its optimizer."""

    def find_data(self) -> JsonObject:
        """Finds the photos with depth, which the number of steps may depend on."""
        self.dataset = self.open_data()
        frames = self.dataset.train.records
        completed = self.config.with_steps(frames)
        self.settings = dataclasses.replace(self.settings, config=completed)
        epochs = completed.steps * completed.batch_size / frames
        print(
            f"training: {completed.steps} steps of {completed.batch_size} frames are "
            f"{epochs:.3g} epochs of {frames} frames",
            flush=True,
        )
        return self.dataset.description

    def build(self, pretrained: Pretrained) -> tf.Module:
        """Builds the network, whose decoder is the same for all trunks of a depth."""
        keras.utils.set_random_seed(self.settings.seed + 2)
        features = TrunkFeatures(pretrained.trunk, self.name, self.settings.lasso)
        self.trainer = self.make_trainer(features)
        return self.trainer

    def training_batches(self, position: int) -> tf.data.Dataset:
        """Returns batches of photos and their true maps, not augmented yet."""
        return self.dataset.batches(position, self.settings.seed)

    def step(
        self, examples: dict[str, tf.Tensor], number: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Trains all weights on one batch."""
        return self.trainer.step(examples, number)

    def measure_batch_norm(self) -> None:
        """Measures the batch-norm statistics of the trained network on training photos."""
        count, batches = self.dataset.calibration_batches(self.settings.seed)
        recalibrate_batch_norm(
            self.trainer.network,
            watched(batches, "images for batch norm", count, self.stop),
            output_stride=OUTPUT_STRIDE,
        )

    def show(self, picture: str) -> None:
        """Writes a PNG file to TensorBoard.

        Args:
          picture: path of the file.
        """
        content = tf.io.decode_png(tf.io.read_file(picture))
        tf.summary.image(f"{self.name}/test", content[None])
