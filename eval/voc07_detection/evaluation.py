"""PASCAL VOC 2007 detection, from a trunk to the metrics (paper section 5)."""

from __future__ import annotations

import os

import tensorflow as tf

from eval import pictures
from eval.evaluation import Evaluation, Report
from eval.json_types import JsonObject
from eval.trunk_features import TrunkFeatures
from eval.trunks import Pretrained
from eval.voc07_detection import config, dataset, drawing, examples, testing
from eval.voc07_detection.config import Config
from eval.voc07_detection.recalibration import recalibrate
from eval.voc07_detection.score import result_files
from eval.voc07_detection.score.average_precision import mean_average_precision
from eval.voc07_detection.testing import Results
from eval.voc07_detection.trainer import DetectorTrainer, build_detector
from eval.watched_batches import watched
from selfsup.data import pipeline

RESULTS = "results"
_IOUS = (0.5, 0.75)
_METRIC = "mAP"


class Voc07Detection(Evaluation[Config, Results]):
    """Fine-tunes a trunk as a Faster R-CNN.

    Attributes:
      trainer: the detector and its optimizer, after `build`.
    """

    name = "voc07_detection"
    headline = f"{_METRIC}_{_IOUS[0]}"
    curves = ("loss", "class_loss", "box_loss")
    config_class = Config
    presets = config.PRESETS

    trainer: DetectorTrainer
    _dataset: dataset.Dataset

    def find_data(self) -> JsonObject:
        """Finds the set with boxes."""
        self._dataset = dataset.find(self.settings.data)
        return self._dataset.description()

    def build(self, pretrained: Pretrained) -> tf.Module:
        """Builds the detector and its optimizer."""
        features = TrunkFeatures(pretrained.trunk, self.name, self.settings.lasso)
        classes = len(self._dataset.classes)
        detector = build_detector(pretrained, features, classes, self.settings)
        self.trainer = DetectorTrainer(detector, self.config, self.settings.seed)
        return self.trainer

    def describe_trunk(self, pretrained: Pretrained) -> JsonObject:
        """Describes the trunk, and says whether its block 4 was pretrained."""
        return {**pretrained.description, "block4": pretrained.block4 is not None}

    def prepare(self) -> JsonObject:
        """Measures batch statistics, which are frozen in training."""
        source = self._dataset.trainval
        count = min(self.config.recalibration_images, source.records)
        stream = pipeline.record_stream(source, self.settings.seed, 0).take(count)
        serialized = stream.map(lambda record, _: record)
        images = (
            batch["image"] for batch in examples.for_test(serialized, self.config)
        )
        recalibrate(
            self.trainer.detector,
            watched(images, "images for batch norm", count, self.stop),
            self.config,
        )
        return {}

    def training_batches(self, position: int) -> tf.data.Dataset:
        """Returns batches of images on canvases."""
        return examples.training(
            self._dataset, self.config, self.settings.seed, position
        )

    def step(
        self, examples: dict[str, tf.Tensor], number: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Trains all weights on one batch."""
        return self.trainer.step(examples, number)

    def test(self) -> Results:
        """Detects objects in all test images."""
        detector = self.trainer.detector
        return testing.run(detector, self._dataset, self.config, self.stop)

    def save_predictions(self, results: Results) -> None:
        """Writes VOC result files."""
        folder = os.path.join(self.folder, RESULTS)
        result_files.write(folder, dataset.TEST, results.detections)

    def draw(self, results: Results) -> None:
        """Draws detections in some test images."""
        path = os.path.join(pictures.folder(self.folder), "detections.png")
        drawing.write(path, self._dataset, results)

    def report(self, results: Results) -> Report:
        """Computes the mean average precision at several overlaps."""
        metrics, precisions = {}, {}
        for iou in _IOUS:
            mean, by_class = mean_average_precision(
                results.detections, results.truth, iou
            )
            metrics[f"{_METRIC}_{iou}"] = mean
            precisions[str(iou)] = by_class
        return Report(
            metrics=metrics,
            details={"average_precision": precisions},
            alpha=self.trainer.detector.features.alpha(),
        )
