"""NYU v2 depth prediction, from a trunk to the metrics (paper section 5)."""

from __future__ import annotations

from eval.evaluation import Report
from eval.nyuv2_depth import config, drawing, testing
from eval.nyuv2_depth.config import Config
from eval.nyuv2_depth.dense_evaluation import DenseEvaluation
from eval.nyuv2_depth.network import DepthNetwork
from eval.nyuv2_depth.testing import Results
from eval.nyuv2_depth.trainer import DenseTrainer, DepthTrainer
from eval.predictions_file import FILE_NAME
from eval.trunk_features import TrunkFeatures


class Nyuv2Depth(DenseEvaluation[Config, Results]):
    """Fine-tunes a trunk and up-projections to predict depth."""

    name = "nyuv2_depth"
    headline = "under_1.25"
    config_class = Config
    presets = config.PRESETS

    def make_trainer(self, features: TrunkFeatures) -> DenseTrainer:
        """Makes the depth network and its optimizer."""
        network = DepthNetwork(features, self.config.channels, self.config.dropout)
        return DepthTrainer(network, self.config, self.settings.seed)

    def test(self) -> Results:
        """Measures batch-norm statistics, then the errors on the test split."""
        self.measure_batch_norm()
        return testing.run(self.trainer.network, self.dataset, self.config, self.stop)

    def save_predictions(self, results: Results) -> None:
        """Writes predictions.npz."""
        testing.save_predictions(self.folder, results.keys, results.depths)

    def draw(self, results: Results) -> None:
        """Draws some test images, for TensorBoard as well."""
        if results.pictures:
            self.show(drawing.draw(self.folder, results.pictures))

    def report(self, results: Results) -> Report:
        """Computes the five measures of appendix A."""
        return Report(
            metrics=results.metrics.result(),
            details={"pixels": results.metrics.pixels, "predictions": FILE_NAME},
            alpha=self.trainer.network.features.alpha(),
        )
