"""NYU v2 depth prediction, from a trunk to the metrics (paper section 5)."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from eval.evaluation import Evaluation, Report
from eval.json_types import JsonObject
from eval.nyuv2_depth import config, drawing, network, testing
from eval.nyuv2_depth.config import Config
from eval.nyuv2_depth.dataset import DepthDataset
from eval.nyuv2_depth.testing import Results
from eval.nyuv2_depth.trainer import DepthTrainer
from eval.predictions_file import FILE_NAME
from eval.trunk_features import TrunkFeatures
from eval.trunks import Pretrained
from eval.watched_batches import watched
from selfsup.keras import keras
from selfsup.trunk.batch_norm_recalibration import recalibrate_batch_norm


class Nyuv2Depth(Evaluation[Config, Results]):
    """Fine-tunes a trunk and up-projections to predict depth.

    Attributes:
      trainer: the depth network and its optimizer, after `build`.
    """

    name = "nyuv2_depth"
    headline = "under_1.25"
    config_class = Config
    presets = config.PRESETS

    trainer: DepthTrainer
    _dataset: DepthDataset

    def find_data(self) -> JsonObject:
        """Finds the photos with depth, which the number of steps may depend on."""
        self._dataset = DepthDataset(self.settings.data, self.config)
        frames = self._dataset.train.records
        completed = self.config.with_steps(frames)
        self.settings = dataclasses.replace(self.settings, config=completed)
        epochs = completed.steps * completed.batch_size / frames
        print(
            f"training: {completed.steps} steps of {completed.batch_size} frames are "
            f"{epochs:.3g} epochs of {frames} frames",
            flush=True,
        )
        return self._dataset.description

    def build(self, pretrained: Pretrained) -> tf.Module:
        """Builds the network, whose decoder is the same for all trunks of a depth."""
        keras.utils.set_random_seed(self.settings.seed + 2)
        features = TrunkFeatures(pretrained.trunk, self.name, self.settings.lasso)
        depth_network = network.DepthNetwork(
            features, self.config.channels, self.config.dropout
        )
        self.trainer = DepthTrainer(depth_network, self.config, self.settings.seed)
        return self.trainer

    def training_batches(self, position: int) -> tf.data.Dataset:
        """Returns batches of photos with depth, not augmented yet."""
        return self._dataset.batches(position, self.settings.seed)

    def step(
        self, examples: dict[str, tf.Tensor], number: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Trains all weights on one batch."""
        return self.trainer.step(examples, number)

    def test(self) -> Results:
        """Measures batch-norm statistics, then the errors on the test split."""
        count, batches = self._dataset.calibration_batches(self.settings.seed)
        recalibrate_batch_norm(
            self.trainer.network,
            watched(batches, "images for batch norm", count, self.stop),
            output_stride=network.OUTPUT_STRIDE,
        )
        return testing.run(self.trainer.network, self._dataset, self.config, self.stop)

    def save_predictions(self, results: Results) -> None:
        """Writes predictions.npz."""
        testing.save_predictions(self.folder, results.keys, results.depths)

    def draw(self, results: Results) -> None:
        """Draws some test images, for TensorBoard as well."""
        if results.pictures:
            picture = tf.io.read_file(drawing.draw(self.folder, results.pictures))
            tf.summary.image(f"{self.name}/test", tf.io.decode_png(picture)[None])

    def report(self, results: Results) -> Report:
        """Computes the five measures of appendix A."""
        return Report(
            metrics=results.metrics.result(),
            details={"pixels": results.metrics.pixels, "predictions": FILE_NAME},
            alpha=self.trainer.network.features.alpha(),
        )
