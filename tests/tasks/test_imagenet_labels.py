from __future__ import annotations

import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.tasks.classification import cross_entropy
from selfsup.tasks.imagenet_labels import (
    ImagenetLabels,
    ImagenetLabelsConfig,
)
from selfsup.trunk.block4 import Block4
from selfsup.trunk.trunk import TrunkConfig


def _reference(logits, labels, smoothing):
    """Cross-entropy with smoothed targets, written as loops."""
    losses = []
    for row, label in zip(logits.astype(np.float64), labels):
        log_sum = np.log(np.sum(np.exp(row)))
        target = np.full(len(row), smoothing / len(row))
        target[label] += 1 - smoothing
        losses.append(-sum(t * (value - log_sum) for t, value in zip(target, row)))
    return np.mean(losses)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_equals_loops(smoothing):
    random = np.random.default_rng(0)
    logits = random.normal(size=(6, 7)).astype(np.float32) * 3
    labels = np.arange(6, dtype=np.int32)
    expected = _reference(logits, labels, smoothing)
    assert float(cross_entropy(logits, labels, smoothing)) == pytest.approx(
        expected, rel=1e-5
    )
    shifted = logits + random.normal(size=(6, 1)).astype(np.float32)
    assert float(cross_entropy(shifted, labels, smoothing)) == pytest.approx(
        expected, rel=1e-4
    )


def _scores(task, logits, labels):
    targets = {"labels": tf.constant(labels, tf.int32)}
    return {
        key: float(value)
        for key, value in task.metrics(tf.constant(logits), targets).items()
    }


def test_top1_and_top5():
    task = ImagenetLabels(ImagenetLabelsConfig(classes=8))
    logits = np.tile(np.arange(8, dtype=np.float32), (4, 1))
    scores = _scores(task, logits, [7, 6, 3, 2])
    assert (scores["accuracy"], scores["top5"]) == (0.25, 0.75)
    chance = task.chance({})
    assert float(chance["accuracy"]) == 1 / 8 and float(chance["top5"]) == 5 / 8
    assert float(chance["cross_entropy"]) == pytest.approx(np.log(8))


def test_fewer_than_five_classes():
    task = ImagenetLabels(ImagenetLabelsConfig(classes=3))
    scores = _scores(task, np.eye(3, dtype=np.float32), [0, 1, 1])
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["top5"] == 1.0 == float(task.chance({})["top5"])


def test_the_loss_is_smoothed_and_the_metric_is_not():
    task = ImagenetLabels(ImagenetLabelsConfig(classes=4, label_smoothing=0.2))
    logits, targets = 5 * tf.eye(4), {"labels": tf.range(4)}
    assert float(task.loss(logits, targets)) == pytest.approx(
        _reference(logits.numpy(), range(4), 0.2), rel=1e-5
    )
    plain = float(task.metrics(logits, targets)["cross_entropy"])
    assert plain == pytest.approx(_reference(logits.numpy(), range(4), 0.0), rel=1e-5)


def test_the_learning_rate_is_multiplied_by_094_every_2_epochs():
    schedule = ImagenetLabels(
        ImagenetLabelsConfig(learning_rate=0.5)
    ).learning_rate_schedule()
    epochs = [0.0, 1.99, 2.0, 3.9, 4.0, 100.0]
    expected = [0.5 * 0.94**times for times in (0, 0, 1, 1, 2, 50)]
    np.testing.assert_allclose(
        [schedule.learning_rate(epoch) for epoch in epochs], expected
    )
    traced = tf.function(schedule.learning_rate)(tf.constant(3.9, tf.float64))
    assert float(traced) == pytest.approx(0.47)


def test_the_head_is_block4_and_a_classifier_on_its_mean(tiny):
    head = tiny("imagenet_labels").build_head()
    features = np.random.default_rng(0).normal(size=(2, 3, 3, 192)).astype(np.float32)
    block4 = Block4(head.block4.config)
    block4.set_weights(head.block4.get_weights())
    pooled = block4(features).numpy().mean(axis=(1, 2))
    expected = pooled @ head.logits.dense.kernel.numpy()
    np.testing.assert_allclose(head(features), expected, rtol=1e-4, atol=1e-5)


def test_the_papers_head_is_as_large_as_slims(count_parameters):
    config = ImagenetLabelsConfig(classes=1000, kind="resnet_v2", depth="101")
    head = ImagenetLabels(config).build_head()
    trainable, _ = count_parameters(head, [1, 7, 7, 1024])
    assert trainable == pytest.approx(14.97e6 + 2048 * 1000 + 1000, rel=1e-3)


def test_kind_and_depth_are_those_of_the_trunk_unless_given():
    trunk = TrunkConfig("16", kind="vgg")
    config = ImagenetLabels.config_for_trunk(ImagenetLabelsConfig(), trunk)
    assert (config.kind, config.depth) == ("vgg", "16")
    ImagenetLabels(config).check_trunk(trunk)
    given = ImagenetLabelsConfig(kind="resnet_v2", depth="50")
    assert ImagenetLabels.config_for_trunk(given, trunk) == given
    with pytest.raises(
        UserError, match=r"imagenet_labels\.kind=resnet_v2: expected vgg"
    ):
        ImagenetLabels(given).check_trunk(trunk)


def test_a_head_needs_the_network_of_the_trunk():
    task = ImagenetLabels(ImagenetLabelsConfig(classes=3))
    with pytest.raises(UserError, match=r"\.kind=: expected the kind of the trunk"):
        task.build_head()


def test_a_trunk_of_another_depth_is_refused(tiny):
    task = tiny("imagenet_labels")
    task.check_trunk(TrunkConfig("tiny"))
    message = r"imagenet_labels\.depth=tiny: expected 101, the depth of the trunk"
    with pytest.raises(UserError, match=message):
        task.check_trunk(TrunkConfig("101"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("depth", "18"),
        ("image_size", 0),
        ("min_crop_area", 0.0),
        ("classes", -1),
        ("decay_rate", 0.0),
        ("decay_rate", 1.5),
        ("decay_epochs", 0.0),
        ("label_smoothing", 1.0),
    ],
)
def test_bad_values_are_refused_by_name(key, value):
    with pytest.raises(UserError, match=rf"imagenet_labels\.{key}={value}: expected"):
        ImagenetLabels(dataclasses.replace(ImagenetLabelsConfig(), **{key: value}))


def _set(*labels, directory="photos"):
    return types.SimpleNamespace(labels=labels, directory=directory)


def test_the_number_of_classes_is_read_from_the_data_sets():
    sets = [_set("cat", "dog"), _set("cat", "dog", directory="more")]
    assert ImagenetLabels.complete_config(ImagenetLabelsConfig(), sets).classes == 2
    assert (
        ImagenetLabels.complete_config(ImagenetLabelsConfig(classes=2), sets).classes
        == 2
    )


@pytest.mark.parametrize(
    ("classes", "sets", "message"),
    [
        (0, [_set()], "photos: has 0 classes"),
        (0, [_set("cat")], "photos: has 1 class"),
        (
            0,
            [_set("cat", "dog"), _set("dog", "cat", directory="more")],
            "more: has 2 classes .* same classes, in the same order, as photos",
        ),
        (
            1000,
            [_set("cat", "dog")],
            r"classes=1000: expected 2, the number of classes of photos",
        ),
    ],
)
def test_classes_that_do_not_fit_are_refused(classes, sets, message):
    with pytest.raises(UserError, match=f"imagenet_labels.*{message}"):
        ImagenetLabels.complete_config(ImagenetLabelsConfig(classes=classes), sets)


def test_a_head_needs_the_number_of_classes():
    with pytest.raises(UserError, match=r"imagenet_labels\.classes=0: expected"):
        ImagenetLabels().build_head()


def test_an_invalid_label_fails_the_pipeline_and_names_the_record(dataset_of):
    """The photos of the fixture have the labels 0 to 4."""
    task = ImagenetLabels(ImagenetLabelsConfig(image_size=32, classes=4))
    examples = iter(dataset_of(task))
    assert [int(next(examples)["label"]) for _ in range(4)] == [0, 1, 2, 3]
    message = "bad record 4.png: has 4; expected a label from 0 to 3"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(examples)


def test_frames_show_the_rank_of_the_true_class(tiny):
    task = tiny("imagenet_labels")
    images = np.zeros([3, 64, 64, 3], np.float32)
    outputs = np.tile(np.arange(9, dtype=np.float32), (3, 1))
    picture = task.pictures(images, outputs, {"labels": np.array([8, 5, 1])})
    picture = picture["first_among_five_wrong"]
    width = (picture.shape[1] - 4) // 3
    corners = [tuple(picture[4, 4 + k * width]) for k in range(3)]
    assert corners == [(40, 180, 70), (250, 190, 0), (220, 50, 40)]
