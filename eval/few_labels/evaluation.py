"""Fine-tuning on few labels, from a trunk to the metrics.

The protocol follows the semi-supervised protocol of Chen, Kornblith, Norouzi & Hinton, "A
Simple Framework for Contrastive Learning of Visual Representations" (ICML 2020, section
6 and appendix B.5): all weights are trained on a class-balanced share of the labels, with
random crops and mirroring, by Nesterov's gradient descent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from eval import trunks
from eval.evaluation import Evaluation, Report
from eval.few_labels import config, subsets, testing
from eval.few_labels.classifier import Classifier, Trainer
from eval.few_labels.config import Config
from eval.few_labels.testing import Results
from eval.imagenet_linear import dataset, photo_streams
from eval.imagenet_linear.evaluation import chance_levels
from eval.json_types import JsonObject
from eval.predictions_file import FILE_NAME
from eval.trunk_features import TrunkFeatures, trunk_input
from eval.trunks import Pretrained
from eval.watched_batches import watched
from selfsup.data import pipeline
from selfsup.trunk.batch_norm_recalibration import recalibrate_batch_norm


class FewLabels(Evaluation[Config, Results]):
    """Fine-tunes a trunk on several shares of the labels, each from the start.

    Attributes:
      trainers: the classifier and optimizer of each share, after `build`.
    """

    name = "few_labels"
    headline = "few_labels_top1"
    curves = ("loss", "top1")
    config_class = Config
    presets = config.PRESETS

    trainers: list[Trainer]
    _photos: dataset.LabelledPhotos
    # Number of steps taken when the training of each share ends.
    _ends: list[int]
    _sources: list[pipeline.DatasetSplit]

    @property
    def output_stride(self) -> int:
        """Output stride of the trunk, from the hyperparameters."""
        return self.config.output_stride

    def find_data(self) -> JsonObject:
        """Finds the labelled photos, which the number of steps may depend on."""
        self._photos = dataset.find(self.settings.data)
        self._ends = self.config.last_steps(self._photos.train.records)
        completed = dataclasses.replace(self.config, steps=self._ends[-1])
        self.settings = dataclasses.replace(self.settings, config=completed)
        return self._photos.description()

    def build(self, pretrained: Pretrained) -> tf.Module:
        """Builds a classifier for each share, on a copy of the trunk of its own."""
        self.trainers = []
        for start, end in zip([0, *self._ends], self._ends):
            trunk = trunks.copy(pretrained.trunk)
            features = TrunkFeatures(trunk, self.name, self.settings.lasso)
            classifier = Classifier(features, len(self._photos.classes))
            seed = self.settings.seed
            trainer = Trainer(classifier, self.config, end - start, seed)
            self.trainers.append(trainer)
        module = tf.Module(name="few_labels")
        module.trainers = self.trainers
        return module

    def prepare(self) -> JsonObject:
        """Counts the labels, which define chance."""
        subsets.remove(self.folder)
        counts = dataset.count_labels(self._photos, 0.0)
        return {"chance": chance_levels(counts.trained, counts.tested)}

    def before_training(self) -> None:
        """Chooses the photos of each share."""
        self._sources = subsets.make(
            self._photos, self.folder, self.config.shares, self.config.subset_seed
        )

    def training_batches(self, position: int) -> tf.data.Dataset:
        """Returns the batches of the shares one after another, from a position on."""
        size, task = (
            self.config.batch_size,
            photo_streams.TrainingPhotos(self.config.photos),
        )
        taken, stream = position // size, None
        for source, start, end in zip(self._sources, [0, *self._ends], self._ends):
            first = max(taken - start, 0)
            batches = pipeline.training_batches(
                task, source, self.settings.seed, first * size, size
            )
            if end < self._ends[-1]:
                batches = batches.take(max(end - start - first, 0))
            stream = batches if stream is None else stream.concatenate(batches)
        return stream

    def step(
        self, examples: dict[str, tf.Tensor], number: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Trains the classifier of the share that the step belongs to."""
        share = np.searchsorted(self._ends, int(number), side="right")
        return self.trainers[share].step(examples, number)

    def test(self) -> Results:
        """Measures batch-norm statistics, then tests the classifiers of all shares."""
        classifiers = [trainer.classifier for trainer in self.trainers]
        for classifier in classifiers:
            recalibrate_batch_norm(
                classifier, self._images(), output_stride=self.config.output_stride
            )
        size, batch_size = self.config.image_size, self.config.batch_size
        batches = photo_streams.in_file_order(self._photos.test, size, batch_size)
        count = self._photos.test.records
        return testing.run(
            classifiers, watched(batches, "test photos", count, self.stop)
        )

    def _images(self) -> Iterator[tf.Tensor]:
        """Yields random training photos as float32 centre crops, in whole batches.

        They are photos of the whole training split, because labels are not needed.
        """
        source, count = self._photos.train, self.config.batch_norm_images
        batches: Iterable[dict[str, tf.Tensor]] = photo_streams.sample(
            source,
            self.config.image_size,
            self.config.batch_size,
            count,
            self.settings.seed,
        )
        total = min(count, source.records)
        for number, batch in enumerate(
            watched(batches, "photos for batch norm", total, self.stop)
        ):
            # A smaller last batch is left out, unless it is the only batch.
            if number and batch["image"].shape[0] < self.config.batch_size:
                return
            yield trunk_input(batch["image"])

    def save_predictions(self, results: Results) -> None:
        """Writes predictions.npz."""
        shares, classes = self.config.shares, self._photos.classes
        testing.save_predictions(self.folder, results, shares, classes)

    def draw(self, results: Results) -> None:
        """Draws predictions on test photos, and accuracy by share of labels."""
        shares, classes = self.config.shares, self._photos.classes
        testing.draw_predictions(self.folder, results, shares, classes)
        testing.draw_accuracy(self.folder, results, shares, self.data["chance"])

    def report(self, results: Results) -> Report:
        """Computes top-1 and top-5 for each share; the headline is the first's top-1."""
        metrics = {"few_labels_top1": float(results.top1[0].mean())}
        for share, top1, top5 in zip(self.config.shares, results.top1, results.top5):
            metrics[f"percent_{100 * share:g}_top1"] = float(top1.mean())
            metrics[f"percent_{100 * share:g}_top5"] = float(top5.mean())
        return Report(
            metrics=metrics,
            chance=self.data["chance"],
            details={
                "photos": [source.records for source in self._sources],
                "steps": np.diff([0, *self._ends]).tolist(),
                "predictions": FILE_NAME,
            },
            alpha=self.trainers[-1].classifier.features.alpha(),
        )

    def clean_up(self) -> None:
        """Removes the copies of the photos."""
        subsets.remove(self.folder)
