"""The losses and steps of the detector, on a very small network."""

import dataclasses
import itertools

import numpy as np
import object_sets
import pytest
import tensorflow as tf

from eval import trunks
from eval.settings import resolve
from eval.trunk_features import TrunkFeatures
from eval.voc07_detection import dataset, examples, trainer
from eval.voc07_detection.config import PRESETS, Config
from eval.voc07_detection.recalibration import recalibrate
from selfsup.data import pipeline
from selfsup.trunk.block4 import Block4

# Canvases of 64x64 in training.
CONFIG = {
    "min_size": 48,
    "max_size": 48,
    "sizes": 1,
    "batch_size": 2,
    "anchor_size": 32.0,
    "anchor_scales": (0.5, 1.0),
    "rpn_channels": 32,
    "rpn_samples": 16,
    "proposals": 32,
    "min_proposal": 2.0,
    "box_samples": 8,
    "steps": 40,
    "learning_rate": 0.02,
}


def _settings(**changes):
    settings = resolve(
        Config,
        PRESETS,
        preset="tiny",
        trunk="random",
        checkpoint=None,
        data="",
        output="",
        lasso=0.0,
        seed=0,
        mixed_precision=False,
    )
    config = dataclasses.replace(settings.config, **CONFIG)
    return dataclasses.replace(settings, config=config, **changes)


SETTINGS = _settings()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    splits = {
        "train": object_sets.scattered(4, "a"),
        "test": object_sets.scattered(2, "b", seed=1),
    }
    return dataset.find(object_sets.write(folder, splits))


def _detector(built, pretrained):
    features = TrunkFeatures(pretrained.trunk, "voc07_detection", 0.0)
    return trainer.build_detector(pretrained, features, len(built.classes), SETTINGS)


def _random_trunk():
    return trunks.load(
        "random", checkpoint=None, depth="tiny", output_stride=16, seed=0
    )


@pytest.fixture(scope="module")
def batch(built):
    stream = examples.training(built, SETTINGS.config, 0, 0)
    batch, _ = pipeline.split_replaced_shard(next(iter(stream)))
    return batch


@pytest.fixture(scope="module")
def fitted(built):
    """A detector with measured statistics. All tests train the same detector."""
    detector = _detector(built, _random_trunk())
    stream = examples.training(built, SETTINGS.config, 0, 0)
    images = (batch["image"] for batch in itertools.islice(stream, 4))
    recalibrate(detector, images, SETTINGS.config)
    return trainer.DetectorTrainer(detector, SETTINGS.config, 0)


@dataclasses.dataclass(frozen=True)
class Taken:
    """The results of steps on the same batch, taken before any test resets the seed.

    Attributes:
      before, after: values of all variables.
      losses: of each step.
      without: losses of a step on images without objects.
    """

    before: list
    after: list
    losses: list
    without: dict


@pytest.fixture(scope="module")
def taken(fitted, batch):
    variables = fitted.detector.variables
    before = [variable.numpy() for variable in variables]
    losses = [_floats(fitted.step(batch, tf.constant(n))) for n in range(40)]
    after = [variable.numpy() for variable in variables]
    absent = {key: -tf.ones_like(batch[key]) for key in ("boxes", "classes")}
    without = _floats(fitted.step({**batch, **absent}, tf.constant(0)))
    return Taken(before, after, losses, without)


def _floats(losses):
    return {key: float(value) for key, value in losses.items()}


def test_recalibration_reaches_all_parts(built, fitted, taken):
    fresh = _detector(built, _random_trunk())
    names = [variable.name for variable in fresh.variables]
    pairs = zip(names, fresh.variables, taken.before)
    moving = [(name, old, new) for name, old, new in pairs if "moving" in name]
    assert len(moving) > 40
    assert not [name for name, old, new in moving if np.allclose(old, new)]


def test_steps_lower_the_loss(taken):
    """Better proposals bring more objects to tell apart: class_loss falls least."""
    first, last = taken.losses[:4], taken.losses[-4:]
    for part, share in (
        ("loss", 0.75),
        ("proposal_score_loss", 0.5),
        ("class_loss", 1),
    ):
        before, after = (
            np.mean([logs[part] for logs in some]) for some in (first, last)
        )
        assert after < share * before, part


def test_all_weights_move_and_no_statistics(fitted, taken):
    names = [variable.name for variable in fitted.detector.variables]
    pairs = zip(names, taken.before, taken.after)
    same = {name for name, old, new in pairs if np.array_equal(old, new)}
    assert same == {name for name in names if "moving" in name}


def test_a_batch_without_objects(taken):
    assert all(np.isfinite(value) for value in taken.without.values())
    assert taken.without["box_loss"] == taken.without["proposal_box_loss"] == 0
    assert taken.without["class_loss"] > 0


def test_the_loss_is_the_sum_of_its_parts(fitted, taken):
    parts = dict(taken.losses[0])
    assert parts.pop("loss") == pytest.approx(sum(parts.values()), rel=1e-5)
    kernels = fitted.detector.kernels()
    assert {variable.shape.rank for variable in kernels} == {2, 4}
    norms = sum(
        np.sum(np.square(variable), dtype=np.float64)
        for variable in taken.before
        if variable.ndim > 1
    )
    assert parts["decay"] == pytest.approx(0.5 * 1e-4 * norms, rel=1e-4)


def test_a_pretrained_block4_is_transferred(built):
    """The new parts are the same with and without it."""
    pretrained = _random_trunk()
    block4 = Block4(pretrained.trunk.config)
    random = _detector(built, pretrained)
    assert random.box_head.block4 is not block4
    transferred = _detector(built, dataclasses.replace(pretrained, block4=block4))
    assert transferred.box_head.block4 is block4
    for part in ("proposal_network", "box_head"):
        pairs = [
            (first, second)
            for first, second in zip(
                getattr(transferred, part).variables, getattr(random, part).variables
            )
            if "block4" not in first.name and "unit" not in first.name
        ]
        assert len(pairs) > 3
        for first, second in pairs:
            np.testing.assert_array_equal(first, second)
