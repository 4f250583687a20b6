"""The interface of tasks, checked for every registered task and a toy on two frames."""

from __future__ import annotations

import dataclasses
import re
import sys

import numpy as np
import pytest
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.data import records
from selfsup.tasks import REGISTRY, augmentation, task_class
from selfsup.tasks.task import Metric, TaskConfig

# Tasks of the tests: what a task may do that no registered task does.
TOYS = {"frame_order": "frame_order:FrameOrder"}


@pytest.fixture(scope="module", params=sorted({**REGISTRY, **TOYS}))
def task(request, tiny):
    with pytest.MonkeyPatch.context() as patch:
        for name, where in TOYS.items():
            patch.setitem(REGISTRY, name, where)
        yield tiny(request.param)


@pytest.fixture(scope="module")
def run(task, batch_of, features):
    """(images, targets, head, outputs) of a batch, computed in a tf.function."""
    head = task.build_head()

    @tf.function
    def forward(examples):
        images, targets = task.preprocess_batch(examples, tf.constant([3, 4]))
        return images, targets, head(features(images), training=True)

    images, targets, outputs = forward(batch_of(task))
    return images, targets, head, outputs


def test_name_and_docs(task):
    assert REGISTRY[task.name].endswith(f":{type(task).__name__}")
    assert task_class(task.name) is type(task)
    docstring = sys.modules[type(task).__module__].__doc__
    assert re.search(r"\([A-Z][\w ]*\s(19|20)\d\d\)", docstring)
    assert set(task.features) <= {
        records.IMAGE,
        records.LABEL,
        records.MOTION_MASK,
        records.SECOND_FRAME,
        records.BOXES,
        records.DEPTH,
    }
    assert task.output_stride in (8, 16, 32)
    names = [spec.name for spec in task.metric_specs]
    assert all(isinstance(spec, Metric) for spec in task.metric_specs)
    assert len(set(names)) == len(names) and "loss" not in names


def test_too_small_batches_are_refused_and_the_minimum_explained(task):
    too_few = dataclasses.replace(task.config, batch_size=task.min_batch_size - 1)
    minimum = task.min_batch_size
    message = (
        rf"{task.name}.batch_size={minimum - 1}: expected {minimum} or more photos .* "
        rf"set {task.name}.batch_size={minimum} or more"
    )
    with pytest.raises(UserError, match=message):
        type(task)(too_few)


def test_config_round_trip(task):
    config = task.config
    assert isinstance(config, TaskConfig)
    values = dataclasses.asdict(config)
    assert task.Config(**values) == config
    # The command line can set these types, and JSON can represent them.
    assert {type(value) for value in values.values()} <= {int, float, str, bool}
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.batch_size = 1
    for field in values.keys() - {
        field.name for field in dataclasses.fields(TaskConfig)
    }:
        assert f"{field}" in task.Config.__doc__


def test_examples_have_static_shapes_and_small_types(task, dataset_of):
    dataset = dataset_of(task)
    assert isinstance(dataset.element_spec, dict)
    for spec in dataset.element_spec.values():
        assert spec.shape.is_fully_defined()
        # Images are uint8; the dtype of a few other numbers does not matter.
        assert spec.dtype in (tf.uint8, tf.int32) or spec.shape.num_elements() <= 16
    count = 0
    for example in dataset:
        count += 1
        for name, spec in dataset.element_spec.items():
            assert example[name].shape == spec.shape
            # Images are not blank. Sizes and positions may be equal.
            assert spec.shape.rank < 3 or np.ptp(example[name].numpy()) > 0
    assert count == 5


def _flat(values):
    return np.concatenate(
        [np.ravel(value).astype(float) for value in tf.nest.flatten(values)]
    )


def test_the_seeds_decide_everything(task, dataset_of):
    def batches(*seeds):
        for seed, examples in zip(seeds, dataset_of(task, *seeds).batch(5)):
            yield _flat(task.preprocess_batch(examples, tf.constant([seed, 0])))

    first, *others = batches(1, 2, 3, 4, 5)
    np.testing.assert_array_equal(first, next(batches(1)))
    assert len(others) == 4
    assert all(np.any(first != other) for other in others)


def test_images_have_the_trunks_format(task, run, batch_of):
    images, targets, _, _ = run
    assert images.dtype == tf.float32 and images.shape[-1] == 3
    assert images.shape[0] % 4 == 0
    assert tf.reduce_min(images) >= 0 and tf.reduce_max(images) <= 1
    assert tf.reduce_max(images) > 0.3
    eager, eager_targets = task.preprocess_batch(batch_of(task), tf.constant([3, 4]))
    np.testing.assert_allclose(eager, images, atol=1e-4)
    assert set(eager_targets) == set(targets)


def test_batch_shapes_are_static(task, batch_of):
    examples = batch_of(task)
    traced = tf.function(task.preprocess_batch).get_concrete_function(
        examples, tf.TensorSpec([2], tf.int32)
    )
    images, targets = traced.structured_outputs
    for tensor in [images, *targets.values()]:
        assert tensor.shape.is_fully_defined()


def test_augmented_batches_are_batches(task, batch_of):
    """In the same format, decided by the seed, and with the same kind of targets."""
    examples, seed = batch_of(task), tf.constant([3, 4])
    images, targets = task.preprocess_batch(examples, seed)

    @tf.function
    def augmented(examples, seed):
        return augmentation.preprocess_augmented(task, examples, seed)

    traced = augmented.get_concrete_function(examples, tf.TensorSpec([2], tf.int32))
    for tensor in tf.nest.flatten(traced.structured_outputs):
        assert tensor.shape.is_fully_defined()
    changed, changed_targets = augmented(examples, seed)
    assert changed.dtype == tf.float32 and changed.shape == images.shape
    assert tf.reduce_min(changed) >= 0 and tf.reduce_max(changed) <= 1
    np.testing.assert_array_equal(changed, augmented(examples, seed)[0])
    assert set(changed_targets) == set(targets)
    for key, target in targets.items():
        assert changed_targets[key].dtype == target.dtype
        assert changed_targets[key].shape == target.shape
    if task.name in ("exemplar", "imagenet_labels"):
        np.testing.assert_allclose(changed, images, atol=1e-4)
    else:
        assert np.mean(np.abs(changed - images)) > 0.01


def test_the_smallest_batch_gives_finite_losses(task, batch_of, features):
    examples = {
        key: batch[: task.min_batch_size] for key, batch in batch_of(task).items()
    }
    images, targets = task.preprocess_batch(examples, tf.constant([3, 4]))
    outputs = task.build_head()(features(images), training=True)
    assert np.isfinite(task.loss(outputs, targets))
    assert np.all(np.isfinite(_flat(task.metrics(outputs, targets))))


def test_loss_is_finite_and_reaches_every_variable(task, run, features):
    images, targets, head, _ = run
    with tf.GradientTape() as tape:
        outputs = head(features(images), training=True)
        loss = task.loss(outputs, targets)
    assert outputs.dtype == tf.float32
    assert loss.shape == () and loss.dtype == tf.float32 and np.isfinite(loss)
    gradients = tape.gradient(loss, head.trainable_variables)
    for variable, gradient in zip(head.trainable_variables, gradients):
        assert gradient is not None, variable.name
        assert np.all(np.isfinite(gradient)), variable.name


def test_weight_decay_is_half_the_squared_norm_of_the_kernels(task, run):
    head = run[2]
    kernels = [v for v in head.trainable_variables if "kernel" in v.name]
    expected = sum(float(tf.nn.l2_loss(kernel)) for kernel in kernels)
    penalty = float(tf.add_n(head.losses))
    assert penalty == pytest.approx(task.config.weight_decay * expected, rel=1e-4)


def test_metrics_have_the_specified_names(task, run):
    _, targets, _, outputs = run
    metrics, chance = task.metrics(outputs, targets), task.chance(targets)
    names = [spec.name for spec in task.metric_specs]
    assert list(metrics) == names
    assert names[0] in chance and set(chance) <= set(names)
    for value in [*metrics.values(), *chance.values()]:
        assert value.shape == () and value.dtype == tf.float32
        assert np.isfinite(value)


def test_metrics_and_chance_work_in_graphs(task, run):
    _, targets, _, outputs = run
    graph = tf.function(lambda o, t: (task.metrics(o, t), task.chance(t)))
    eager = task.metrics(outputs, targets), task.chance(targets)
    for a, b in zip(tf.nest.flatten(graph(outputs, targets)), tf.nest.flatten(eager)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_pictures_are_uint8_images(task, run):
    images, targets, _, outputs = run
    arrays = tf.nest.map_structure(
        lambda tensor: tensor.numpy(), (images, outputs, targets)
    )
    pictures = task.pictures(*arrays)
    assert pictures
    for name, picture in pictures.items():
        assert re.fullmatch(r"[a-z0-9_]+", name)
        assert isinstance(picture, np.ndarray) and picture.dtype == np.uint8
        assert picture.ndim == 3 and picture.shape[2] == 3
        assert min(picture.shape[:2]) > 32 and max(picture.shape[:2]) < 3000
        assert picture.std() > 5


def test_half_precision_features_give_float32_outputs(task, batch_of, features):
    images, targets = task.preprocess_batch(batch_of(task), tf.constant([3, 4]))
    head = task.build_head(dtype="mixed_bfloat16")
    outputs = head(tf.cast(features(images), tf.bfloat16), training=True)
    assert outputs.dtype == tf.float32
    assert {variable.dtype for variable in head.variables} == {tf.float32}
    assert np.isfinite(task.loss(outputs, targets))


def test_heads_can_be_rebuilt_from_their_config(task, run, features):
    images, _, head, _ = run
    twin = type(head).from_config(head.get_config())
    twin(features(images))
    twin.set_weights(head.get_weights())
    np.testing.assert_allclose(
        twin(features(images)), head(features(images)), rtol=1e-4, atol=1e-5
    )


def test_twenty_steps_lower_the_loss(task, train):
    losses = train(task)
    assert np.all(np.isfinite(losses))
    assert np.mean(losses[-3:]) < 0.9 * losses[0], losses


def test_a_new_head_has_the_exported_parts(task):
    head = task.build_head()
    assert set(task.exported_parts) <= {"block4", "logits", task.name}
    for name in set(task.exported_parts) - {task.name}:
        assert getattr(head, name).trainable_variables
    if task.name in task.exported_parts:
        # An exported head takes features of any number of images of any size.
        spec = tf.TensorSpec([None, None, None, 192], tf.float32)
        traced = tf.function(lambda features: head(features))
        assert traced.get_concrete_function(spec).structured_outputs.shape[0] is None


def test_the_learning_rate_starts_as_configured_and_never_rises(task):
    schedule = task.learning_rate_schedule()
    rates = [schedule.learning_rate(epochs) for epochs in (0.0, 1.0, 10.0, 100.0)]
    assert rates[0] == task.config.learning_rate
    assert rates == sorted(rates, reverse=True) and rates[-1] > 0
    assert schedule.is_constant == (rates[0] == rates[-1])


def test_unknown_tasks_are_refused_by_name():
    with pytest.raises(UserError, match=r"unknown task 'jigsaw'.*rotation"):
        task_class("jigsaw")
