"""The course of the evaluation: statistics, training, test, files (paper section 5)."""

import dataclasses
import os

import numpy as np
import tensorflow as tf

from eval import metrics_file, pictures, trunks
from eval.imagenet_linear import dataset, drawing, ladder, testing
from eval.imagenet_linear.classifier import LinearClassifiers
from eval.imagenet_linear.config import NAME
from eval.imagenet_linear.feature_cache import FeatureCache
from eval.imagenet_linear.held_out import is_held_out
from eval.imagenet_linear.view_cache import ViewCache
from eval.passes import watched
from eval.training import TENSORBOARD, Training
from selfsup.data import pipeline
from selfsup.trunk.batch_norm_recalibration import recalibrate_batch_norm


def evaluate(settings, folder, stop):
    """Trains and tests a linear layer, or goes on with it; arguments as of `Run`.

    Returns:
      whether it came to its end.
    """
    return Run(settings, folder, stop).run()


class Run:
    """One run of the evaluation in its folder.

    Attributes:
      model: the `LinearClassifiers`.
      training: its `Training`.
    """

    def __init__(self, settings, folder, stop):
        """
        Args:
          settings: `eval.settings.Settings` with a `Config`.
          folder: of the output, locked.
          stop: a `hybrid.stop.StopSignals` that has been entered.
        """
        self._settings = settings
        self._config = config = settings.config
        self._folder = folder
        self._stop = stop
        self._photos = dataset.find(settings.data)
        pretrained = trunks.load_for(settings, config.output_stride)
        classes = len(self._photos.classes)
        self.model = LinearClassifiers(pretrained.trunk, classes, settings)
        self._cache = self._make_cache()
        self._view_cache = self._make_view_cache()
        self.training = Training(
            folder,
            NAME,
            step=self.model.step,
            batches=self._training_batches,
            batch_size=config.batch_size,
            steps=config.steps,
            trackable=self.model,
            notes={"trunk": pretrained.description, "data": self._photos.description()},
        )

    def run(self):
        """Goes on from where the last run stopped; returns whether it came to the end.

        Raises:
          UserError: for data, a trunk or a checkpoint that cannot be used.
          passes.Stopped: when a signal comes outside of training.
        """
        if not self.training.resume():
            self._prepare()
        self._fill_caches()
        if not self.training.run(self._stop):
            return False
        self._test()
        self._remove_caches()
        return True

    def _fill_caches(self):
        if self._cache is not None:
            photos = self._in_file_order(self._photos.train, "cached photos")
            self._cache.fill(self.model.look, photos)
        if self._view_cache is not None:
            views = watched(
                self._augmented_batches(0),
                "augmented views",
                self._view_cache.views,
                self._stop,
            )
            self._view_cache.fill(self.model.look_augmented, views)

    def _remove_caches(self):
        for cache in (self._cache, self._view_cache):
            if cache is not None:
                cache.remove()

    def _make_cache(self):
        """The cache, or None: the lasso's combination changes with every step."""
        config = self._config
        if not config.cache_features or self._settings.lasso:
            return None
        features = self.model.features
        rows = len(features.names)
        return FeatureCache(self._folder, self._photos, rows, features.size, config)

    def _make_view_cache(self):
        """The cache, or None where every view would be used once at most."""
        config, records = self._config, self._photos.train.records
        views = config.augmented_views * records
        enough = 0 < views < config.steps * config.batch_size
        if not (enough and config.augment) or self._settings.lasso:
            return None
        features = self.model.features
        rows = len(features.names)
        return ViewCache(self._folder, records, rows, features.size, config)

    def _prepare(self):
        """What is measured once: labels, BN statistics, scales of the features."""
        self._remove_caches()
        counts = dataset.count_labels(self._photos, self._config.held_out_share)
        chance = dict(zip(("top1", "top5"), _chance(counts.trained, counts.tested)))
        held_out = int(counts.held_out.sum())
        self.training.notes["data"].update(chance=chance, held_out=held_out)
        count = self._config.statistics_images
        recalibrate_batch_norm(
            self.model.trunk,
            self._images(count, "photos for batch norm"),
            output_stride=self._config.output_stride,
        )
        self.model.features.measure(self._images(count, "photos for scales"))

    def _images(self, count, what):
        """Random training photos as float32 centre crops; whole batches, or one."""
        for number, batch in enumerate(self._sample(count, what)):
            # The statistics of a few photos left over are no estimate of a batch's.
            if number and batch["image"].shape[0] < self._config.batch_size:
                return
            yield dataset.to_float(batch["image"])

    def _sample(self, count, what, keep=None):
        config, source = self._config, self._photos.train
        batches = dataset.sample(
            source,
            config.image_size,
            config.batch_size,
            count,
            self._settings.seed,
            keep,
        )
        return watched(batches, what, min(count, source.records), self._stop)

    def _in_file_order(self, source, what, keep=None, count=None):
        batches = dataset.in_file_order(
            source, self._config.image_size, self._config.batch_size, keep
        )
        total = source.records if count is None else count
        return watched(batches, what, total, self._stop)

    def _is_held_out(self, key):
        return is_held_out(key, self._config.held_out_share)

    def _training_batches(self, position):
        seed, size = self._settings.seed, self._config.batch_size
        if self._cache is not None:
            return self._cache.training_batches(seed, position, size)
        if self._view_cache is not None:
            return self._view_cache.training_batches(seed, position)
        return self._augmented_batches(position)

    def _augmented_batches(self, position):
        return pipeline.training_batches(
            dataset.TrainingPhotos(self._config),
            self._photos.train,
            self._settings.seed,
            position,
            self._config.batch_size,
        )

    def _test(self):
        held_out, chosen = self._choose()
        neighbours, counted = self._fit_neighbours(int(chosen[-1]))
        tested = self._in_file_order(self._photos.test, "test photos")
        results = testing.run(self.model, tested, chosen, neighbours)
        self._draw(results)
        testing.save_predictions(self._folder, results, self._photos.classes)
        self._write(results, counted, held_out, chosen)

    def _choose(self):
        """The best rate of each row, by photos that no layer was trained on.

        Returns:
          (`ladder.Scores` of the held-out photos, or None where there is but one rate;
          int64 [R], indices of rates).
        """
        if len(self._config.learning_rates) == 1:
            return None, np.zeros(len(self.model.features.names), np.int64)
        photos = self._in_file_order(
            self._photos.train,
            "held-out photos",
            keep=self._is_held_out,
            count=self.training.notes["data"]["held_out"],
        )
        scores = testing.compare_rates(self.model, photos)
        return scores, ladder.choose(scores)

    def _fit_neighbours(self, rate):
        """A classifier on the photos that layers are trained on, and their number."""
        if not self._config.neighbours:
            return None, 0
        sample = self._sample(
            self._config.neighbour_images,
            "photos for neighbours",
            keep=lambda key: tf.logical_not(self._is_held_out(key)),
        )
        return testing.fit_neighbours(self.model, sample, self._config.neighbours, rate)

    def _draw(self, results):
        classes = self._photos.classes
        drawing.save_predictions(
            self._folder, results, self._shown(drawing.choose(results)), classes
        )
        names = self.model.features.names
        if len(names) > 1:
            chance = self.training.notes["data"]["chance"]
            drawing.save_probe(self._folder, names, results, chance)
        pictures.save_curves(self._folder, ("loss", "top1"))

    def _shown(self, groups):
        """{index: uint8 image} of some test photos."""
        wanted = {int(index) for group in groups for index in group}
        found, first = {}, 0
        for batch in self._in_file_order(self._photos.test, "test photos to draw"):
            last = first + batch["label"].shape[0]
            for index in wanted.intersection(range(first, last)):
                found[index] = batch["image"][index - first].numpy()
            first = last
            if len(found) == len(wanted):
                break
        return found

    def _write(self, results, counted, held_out, chosen):
        metrics = results.metrics()
        path = os.path.join(self._folder, TENSORBOARD)
        with tf.summary.create_file_writer(path).as_default(self._config.steps):
            for name, value in metrics.items():
                tf.summary.scalar(f"{NAME}/test/{name}", value)
        notes, rates = self.training.notes, self._config.learning_rates
        remarks = _remarks(len(self._photos.classes))
        if held_out is not None:
            remarks += ladder.remarks(rates, held_out, chosen)
        metrics_file.write(
            self._folder,
            evaluation=NAME,
            headline="top5",
            metrics=metrics,
            trunk=notes["trunk"],
            settings=dataclasses.asdict(self._settings),
            data=notes["data"],
            alpha=self._alpha(int(chosen[-1])),
            details={
                "rows": list(self.model.features.names),
                "top1": [float(value) for value in results.hits1.mean(axis=1)],
                "top5": [float(value) for value in results.hits5.mean(axis=1)],
                "chance": notes["data"]["chance"],
                "neighbour_images": counted,
                "ladder": ladder.report(rates, chosen, held_out, results.ladder),
                "remarks": remarks,
            },
        )

    def _alpha(self, rate):
        """The row of alpha that was learned at a rate, as floats; None without one."""
        combinations = self.model.features.combinations
        if combinations is None:
            return None
        return [float(weight) for weight in combinations.alpha()[rate]]


def _remarks(classes):
    if classes > testing.TOP:
        return []
    return [f"top5 says nothing here: there are {classes} classes"]


def _chance(train, test):
    """Accuracies of always naming the most frequent training class, or five of them.

    Args:
      train, test: int64 [classes], photos of each class.

    Returns:
      (top1, top5), shares in [0, 1].
    """
    order = np.argsort(-train, kind="stable")
    shares = test[order] / test.sum()
    return float(shares[0]), float(shares[:5].sum())
