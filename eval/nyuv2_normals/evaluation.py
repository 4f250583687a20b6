"""Surface normals on NYU v2, from a trunk to the metrics (paper section 7)."""

from __future__ import annotations

from eval.evaluation import Report
from eval.json_types import JsonObject
from eval.nyuv2_depth.dataset import DepthDataset
from eval.nyuv2_depth.dense_evaluation import DenseEvaluation
from eval.nyuv2_depth.trainer import DenseTrainer
from eval.nyuv2_normals import config, constant_normals, dataset, drawing, testing
from eval.nyuv2_normals.config import Config
from eval.nyuv2_normals.network import NormalsNetwork
from eval.nyuv2_normals.testing import Results
from eval.nyuv2_normals.trainer import NormalsTrainer
from eval.predictions_file import FILE_NAME
from eval.trunk_features import TrunkFeatures


class Nyuv2Normals(DenseEvaluation[Config, Results]):
    """Fine-tunes a trunk and up-projections to predict surface normals."""

    name = testing.NAME
    headline = "within_11.25"
    curves = ("loss", "within_11.25")
    config_class = Config
    presets = config.PRESETS

    def open_data(self) -> DepthDataset:
        """Opens the photos with depth, whose normals are computed while they are read."""
        examples = dataset.NormalsExamples(self.config)
        return DepthDataset(self.settings.data, self.config, examples)

    def make_trainer(self, features: TrunkFeatures) -> DenseTrainer:
        """Makes the network of normals and its optimizer."""
        network = NormalsNetwork(features, self.config.channels, self.config.dropout)
        return NormalsTrainer(network, self.config, self.settings.seed)

    def prepare(self) -> JsonObject:
        """Measures the constant normals that define chance."""
        constants = constant_normals.best_constants(self.dataset, self.stop)
        return {
            "constant_normals": {
                name: vector.tolist() for name, vector in constants.items()
            }
        }

    def test(self) -> Results:
        """Measures batch-norm statistics, then the angles on the test split."""
        self.measure_batch_norm()
        constants = self.data["constant_normals"]
        return testing.run(
            self.trainer.network, self.dataset, self.config, constants, self.stop
        )

    def save_predictions(self, results: Results) -> None:
        """Writes predictions.npz."""
        testing.save_predictions(self.folder, results)

    def draw(self, results: Results) -> None:
        """Draws some test images, for TensorBoard as well."""
        if results.pictures:
            self.show(drawing.draw(self.folder, results.pictures))

    def report(self, results: Results) -> Report:
        """Computes the five measures, and those of the best constant normals."""
        chance = {name: m.result()[name] for name, m in results.chance.items()}
        return Report(
            metrics=results.metrics.result(),
            chance={name.split("_")[-1]: value for name, value in chance.items()},
            details={"pixels": results.metrics.pixels, "predictions": FILE_NAME},
            alpha=self.trainer.network.features.alpha(),
        )
