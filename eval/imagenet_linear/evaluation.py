"""ImageNet with frozen weights: statistics, training, choice, test (paper section 5)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from eval.evaluation import Evaluation, Report
from eval.imagenet_linear import (
    config,
    dataset,
    drawing,
    ladder,
    photo_streams,
    testing,
)
from eval.imagenet_linear.classifier import LinearClassifiers
from eval.imagenet_linear.config import Config
from eval.imagenet_linear.feature_cache import FeatureCache
from eval.imagenet_linear.held_out import is_held_out
from eval.imagenet_linear.ladder import Scores
from eval.imagenet_linear.testing import Results
from eval.imagenet_linear.view_cache import ViewCache
from eval.json_types import JsonObject
from eval.trunk_features import trunk_input
from eval.trunks import Pretrained
from eval.watched_batches import watched
from selfsup.data import pipeline
from selfsup.trunk.batch_norm_recalibration import recalibrate_batch_norm


@dataclasses.dataclass(frozen=True)
class LadderResults:
    """Results of the test, and how the learning rates were chosen.

    Attributes:
      test: results on the test photos, at the chosen learning rates.
      chosen: index of the learning rate of each row, int64 [R].
      held_out: scores on the held-out photos, or None for a ladder of one rate.
      neighbour_images: number of photos that neighbours were chosen from.
    """

    test: Results
    chosen: npt.NDArray[np.int64]
    held_out: Scores | None
    neighbour_images: int


class ImagenetLinear(Evaluation[Config, LadderResults]):
    """Trains linear layers on a frozen trunk's last unit.

    Attributes:
      model: the trunk and its layers, after `build`.
    """

    name = "imagenet_linear"
    headline = "top5"
    curves = ("loss", "top1")
    config_class = Config
    presets = config.PRESETS

    model: LinearClassifiers
    _photos: dataset.LabelledPhotos
    _cache: FeatureCache | None = None
    _view_cache: ViewCache | None = None

    @property
    def output_stride(self) -> int:
        """Output stride of the trunk, from the hyperparameters."""
        return self.config.output_stride

    def find_data(self) -> JsonObject:
        """Finds the labelled photos."""
        self._photos = dataset.find(self.settings.data)
        return self._photos.description()

    def build(self, pretrained: Pretrained) -> tf.Module:
        """Builds the layers, and the caches that the hyperparameters ask for."""
        classes = len(self._photos.classes)
        self.model = LinearClassifiers(pretrained.trunk, classes, self.settings)
        self._cache = self._make_cache()
        self._view_cache = self._make_view_cache()
        return self.model

    def _make_cache(self) -> FeatureCache | None:
        """The cache, or None with the lasso, whose combination changes at every step."""
        if not self.config.cache_features or self.settings.lasso:
            return None
        features = self.model.features
        rows = len(features.names)
        return FeatureCache(self.folder, self._photos, rows, features.size, self.config)

    def _make_view_cache(self) -> ViewCache | None:
        """The cache, or None if every view would be used at most once."""
        records = self._photos.train.records
        views = self.config.augmented_views * records
        repeats = 0 < views < self.config.steps * self.config.batch_size
        if not (repeats and self.config.augment) or self.settings.lasso:
            return None
        features = self.model.features
        rows = len(features.names)
        return ViewCache(self.folder, records, rows, features.size, self.config)

    def prepare(self) -> JsonObject:
        """Measures labels, batch-norm statistics and the scales of the features."""
        self.clean_up()
        counts = dataset.count_labels(self._photos, self.config.held_out_share)
        count = self.config.statistics_images
        recalibrate_batch_norm(
            self.model.trunk,
            self._images(count, "photos for batch norm"),
            output_stride=self.config.output_stride,
        )
        self.model.features.measure(self._images(count, "photos for scales"))
        return {
            "chance": chance_levels(counts.trained, counts.tested),
            "held_out": int(counts.held_out.sum()),
        }

    def before_training(self) -> None:
        """Fills the caches."""
        if self._cache is not None:
            photos = self._in_file_order(self._photos.train, "cached photos")
            self._cache.fill(self.model.compute_features, photos)
        if self._view_cache is not None:
            batches, views = self._augmented_batches(0), self._view_cache.views
            watched_views = watched(batches, "augmented views", views, self.stop)
            self._view_cache.fill(self.model.compute_augmented_features, watched_views)

    def clean_up(self) -> None:
        """Removes the caches."""
        for cache in (self._cache, self._view_cache):
            if cache is not None:
                cache.remove()

    def training_batches(self, position: int) -> tf.data.Dataset:
        """Returns batches of cached features if there is a cache, or else of photos."""
        seed = self.settings.seed
        if self._cache is not None:
            return self._cache.training_batches(seed, position, self.config.batch_size)
        if self._view_cache is not None:
            return self._view_cache.training_batches(seed, position)
        return self._augmented_batches(position)

    def _augmented_batches(self, position: int) -> tf.data.Dataset:
        return pipeline.training_batches(
            photo_streams.TrainingPhotos(self.config),
            self._photos.train,
            self.settings.seed,
            position,
            self.config.batch_size,
        )

    def step(
        self, examples: dict[str, tf.Tensor], number: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Trains all layers on one batch."""
        return self.model.step(examples, number)

    def test(self) -> LadderResults:
        """Chooses the learning rates on held-out photos and tests the chosen layers."""
        held_out, chosen = self._choose()
        neighbours, neighbour_images = None, 0
        if self.config.neighbours:
            sample = self._sample(
                self.config.neighbour_images,
                "photos for neighbours",
                keep=lambda key: tf.logical_not(self._is_held_out(key)),
            )
            neighbours, neighbour_images = testing.fit_neighbours(
                self.model, sample, self.config.neighbours, int(chosen[-1])
            )
        photos = self._in_file_order(self._photos.test, "test photos")
        results = testing.run(self.model, photos, chosen, neighbours)
        return LadderResults(results, chosen, held_out, neighbour_images)

    def _choose(self) -> tuple[Scores | None, npt.NDArray[np.int64]]:
        """Chooses the learning rate of each row on photos that no layer was trained on.

        Returns:
          (scores on the held-out photos, or None for a ladder of one rate; index of the
          learning rate of each row, int64 [R]).
        """
        if len(self.config.learning_rates) == 1:
            return None, np.zeros(len(self.model.features.names), np.int64)
        photos = self._in_file_order(
            self._photos.train,
            "held-out photos",
            keep=self._is_held_out,
            count=self.data["held_out"],
        )
        scores = testing.compare_rates(self.model, photos)
        return scores, ladder.choose(scores)

    def save_predictions(self, results: LadderResults) -> None:
        """Writes predictions.npz."""
        testing.save_predictions(self.folder, results.test, self._photos.classes)

    def draw(self, results: LadderResults) -> None:
        """Draws predictions on test photos, and accuracy by unit if units are probed."""
        indices = np.concatenate(drawing.choose(results.test)).tolist()
        images = self._test_images(set(indices))
        drawing.save_predictions(
            self.folder, results.test, images, self._photos.classes
        )
        names = self.model.features.names
        if len(names) > 1:
            drawing.save_probe(self.folder, names, results.test, self.data["chance"])

    def _test_images(self, wanted: set[int]) -> dict[int, npt.NDArray[np.uint8]]:
        """Reads test photos by their index: uint8 [S, S, 3] each."""
        images: dict[int, npt.NDArray[np.uint8]] = {}
        first = 0
        for batch in self._in_file_order(self._photos.test, "test photos to draw"):
            last = first + batch["label"].shape[0]
            for index in wanted.intersection(range(first, last)):
                images[index] = batch["image"][index - first].numpy()
            first = last
            if len(images) == len(wanted):
                break
        return images

    def report(self, results: LadderResults) -> Report:
        """Computes accuracies, and the scores of all units and learning rates."""
        rates, test = self.config.learning_rates, results.test
        remarks = []
        if len(self._photos.classes) <= testing.TOP:
            classes = len(self._photos.classes)
            remarks.append(f"top5 says nothing here: there are {classes} classes")
        if results.held_out is not None:
            remarks += ladder.remarks(rates, results.held_out, results.chosen)
        combinations, alpha = self.model.features.combinations, None
        if combinations is not None:
            alpha = combinations.alpha()[int(results.chosen[-1])].numpy().tolist()
        return Report(
            metrics=test.metrics(),
            chance=self.data["chance"],
            details={
                "rows": list(self.model.features.names),
                "top1": test.hits1.mean(axis=1).tolist(),
                "top5": test.hits5.mean(axis=1).tolist(),
                "neighbour_images": results.neighbour_images,
                "ladder": ladder.report(
                    rates, results.chosen, results.held_out, test.ladder
                ),
            },
            remarks=remarks,
            alpha=alpha,
        )

    def _images(self, count: int, description: str) -> Iterator[tf.Tensor]:
        """Yields random training photos as float32 centre crops, in whole batches."""
        for number, batch in enumerate(self._sample(count, description)):
            # A smaller last batch is left out, unless it is the only batch: its
            # statistics would not be those of a whole batch.
            if number and batch["image"].shape[0] < self.config.batch_size:
                return
            yield trunk_input(batch["image"])

    def _sample(
        self, count: int, description: str, keep: photo_streams.Keep | None = None
    ) -> Iterable[dict[str, tf.Tensor]]:
        source = self._photos.train
        batches = photo_streams.sample(
            source,
            self.config.image_size,
            self.config.batch_size,
            count,
            self.settings.seed,
            keep,
        )
        return watched(batches, description, min(count, source.records), self.stop)

    def _in_file_order(
        self,
        source: pipeline.DatasetSplit,
        description: str,
        keep: photo_streams.Keep | None = None,
        count: int | None = None,
    ) -> Iterable[dict[str, tf.Tensor]]:
        batches = photo_streams.in_file_order(
            source, self.config.image_size, self.config.batch_size, keep
        )
        total = source.records if count is None else count
        return watched(batches, description, total, self.stop)

    def _is_held_out(self, key: tf.Tensor) -> tf.Tensor:
        return is_held_out(key, self.config.held_out_share)


def chance_levels(
    train: npt.NDArray[np.int64], test: npt.NDArray[np.int64]
) -> dict[str, float]:
    """Accuracies of always naming the most frequent training classes.

    Args:
      train, test: number of photos of each class, int64 [classes].

    Returns:
      accuracies in [0, 1] of naming the most frequent class ("top1") or the five most
      frequent classes ("top5").
    """
    order = np.argsort(-train, kind="stable")
    shares = test[order] / test.sum()
    return {"top1": float(shares[0]), "top5": float(shares[:5].sum())}
