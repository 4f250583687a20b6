"""The evaluations against the forward passes that they cannot do without."""

from __future__ import annotations

import dataclasses
import pathlib
import tempfile

import numpy as np
import tensorflow as tf

from data_prep.sources.voc_classes import VOC_CLASSES
from eval import settings as evaluation_settings
from eval import trunks
from eval.imagenet_linear import config as linear_config
from eval.imagenet_linear.classifier import LinearClassifiers
from eval.trunk_features import TrunkFeatures
from eval.voc07_detection import canvases, trainer
from eval.voc07_detection import config as detection_config
from eval.voc07_detection.score import result_files, scoring
from tests.benchmarks import alternation
from tests.benchmarks.alternation import Contestant, InProcess
from tests.benchmarks.suites.options import Options
from tests.benchmarks.table import Table
from tests.support import devkits

_CLASSES = 1000
_TEST_IMAGES = 4952
_OBJECTS = 12_032
_DETECTIONS = 100
_COMMON = {
    "trunk": "random",
    "checkpoint": None,
    "data": "",
    "output": "",
    "lasso": 0.0,
    "seed": 0,
    "mixed_precision": False,
}


def print_table(options: Options) -> None:
    """Prints the time of a batch relative to the trunk's, and of scoring VOC's test."""
    print(
        f"Evaluations, preset {options.preset}: a batch relative to the forward pass of "
        "the trunk on it (quartiles)"
    )
    table = Table("evaluation", "images/s", "trunk's images/s", "elapsed", "processor")
    _print_row(table, "imagenet_linear, training step", *_linear(options), options)
    _print_row(table, "voc07_detection, test", *_detection(options), options)
    _print_scoring(options)


def _print_row(
    table: Table,
    name: str,
    images: int,
    whole: Contestant,
    trunk: Contestant,
    options: Options,
) -> None:
    pair = {"whole": whole, "trunk": trunk}
    rounds = alternation.measure(pair, options.rounds, options.seconds)
    table.add(
        name,
        f"{images / rounds.elapsed('whole'):.2f}",
        f"{images / rounds.elapsed('trunk'):.2f}",
        str(rounds.ratio("whole", "trunk")),
        str(rounds.processor_ratio("whole", "trunk")),
    )


def _linear(options: Options) -> tuple[int, Contestant, Contestant]:
    """Returns (images, step of all linear layers on photos, forward pass)."""
    settings = evaluation_settings.resolve(
        linear_config.Config, linear_config.PRESETS, preset=options.preset, **_COMMON
    )
    config = settings.config
    trunk = _trunk(settings.depth, config.output_stride)
    model = LinearClassifiers(trunk, _CLASSES, settings)
    size, side = config.batch_size, config.image_size
    random = np.random.default_rng(0)
    images = tf.constant(random.integers(0, 256, (size, side, side, 3), np.uint8))
    model.features.measure([tf.cast(images, tf.float32) / 255.0])
    examples = {
        "image": images,
        "label": tf.constant(random.integers(0, _CLASSES, size)),
        "held_out": tf.zeros([size], tf.bool),
    }
    number = tf.constant(0)
    forward = tf.function(
        lambda batch: trunk(tf.cast(batch, tf.float32) / 255.0), autograph=False
    )
    return (
        size,
        InProcess(lambda: model.step(examples, number), _wait),
        InProcess(lambda: forward(images), _wait),
    )


def _detection(options: Options) -> tuple[int, Contestant, Contestant]:
    """Returns (images, detection on a canvas, forward pass of the trunk on it)."""
    settings = evaluation_settings.resolve(
        detection_config.Config,
        detection_config.PRESETS,
        preset=options.preset,
        **_COMMON,
    )
    config = dataclasses.replace(settings.config, test_batch_size=1)
    settings = dataclasses.replace(settings, config=config)
    pretrained = trunks.load(
        "random",
        checkpoint=None,
        depth=settings.depth,
        output_stride=canvases.STRIDE,
        seed=0,
    )
    features = TrunkFeatures(pretrained.trunk, "voc07_detection", 0.0)
    detector = trainer.build_detector(pretrained, features, len(VOC_CLASSES), settings)
    sizes = tf.constant([[375, 500]])
    height, width = canvases.for_images(config.test_size, sizes).numpy().tolist()
    images = tf.random.stateless_uniform([1, height, width, 3], [1, 2])
    inside = tf.constant([[height, width]], tf.float32)
    detect = tf.function(detector.detect, autograph=False)
    forward = tf.function(lambda batch: features(batch), autograph=False)
    return (
        1,
        InProcess(lambda: detect(images, inside), _wait),
        InProcess(lambda: forward(images), _wait),
    )


def _trunk(depth: str, output_stride: int) -> trunks.Trunk:
    loaded = trunks.load(
        "random", checkpoint=None, depth=depth, output_stride=output_stride, seed=0
    )
    return loaded.trunk


def _print_scoring(options: Options) -> None:
    """Prints the seconds of reading and scoring as many images as VOC 2007's test."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        _write_results(folder)
        devkit, results = str(folder / "VOCdevkit"), str(folder / "results")

        def score() -> None:
            scoring.score(
                devkit,
                "test",
                results,
                ious=[0.5],
                metric="voc07",
                year="",
                competition=result_files.COMPETITION,
            )

        rounds = alternation.measure({"score": InProcess(score)}, options.rounds, 0)
    summary = alternation.summarize([each.elapsed for each in rounds.seconds["score"]])
    print(
        f"Scoring {_TEST_IMAGES} images with {_OBJECTS} objects and "
        f"{_TEST_IMAGES * _DETECTIONS} detections, files included: {summary} seconds"
    )


def _write_results(folder: pathlib.Path) -> None:
    """Writes annotations and result files with as many entries as a real test has."""
    random = np.random.default_rng(0)
    names = [f"{index:06d}" for index in range(_TEST_IMAGES)]
    owner = random.integers(0, _TEST_IMAGES, _OBJECTS)
    owner[:_TEST_IMAGES] = np.arange(_TEST_IMAGES)
    boxes = _boxes(random, _OBJECTS)
    labels = random.integers(0, len(VOC_CLASSES), _OBJECTS)
    objects: dict[str, list[str]] = {name: [] for name in names}
    for image, label, box in zip(owner, labels, boxes.astype(int).tolist()):
        objects[names[image]].append(devkits.object_xml(VOC_CLASSES[label], *box))
    images = {
        name: (None, devkits.annotation(*each, size=(500, 375)))
        for name, each in objects.items()
    }
    devkits.write(
        folder / "VOCdevkit/VOC2007", images, {"test": "\n".join(names) + "\n"}
    )
    count = _TEST_IMAGES * _DETECTIONS // len(VOC_CLASSES)
    detections = {
        name: (
            [names[image] for image in random.integers(0, _TEST_IMAGES, count)],
            random.random(count),
            _boxes(random, count),
        )
        for name in VOC_CLASSES
    }
    result_files.write(str(folder / "results"), "test", detections)


def _boxes(random: np.random.Generator, count: int) -> np.ndarray:
    """Boxes (xmin, ymin, xmax, ymax) in images of 500x375: float64 [count, 4]."""
    low = random.uniform(1, [400, 300], (count, 2))
    return np.concatenate([low, low + random.uniform(10, [99, 74], (count, 2))], axis=1)


def _wait(result: object) -> None:
    """Waits until TensorFlow has computed the tensors."""
    tf.nest.flatten(result)[0].numpy()
