"""The lasso combination and the figure of alpha."""

import numpy as np
import pytest
import tensorflow as tf

from selfsup.common.errors import UserError
from selfsup.keras import keras
from selfsup.pretraining.combination import Combination
from selfsup.pretraining.combination_figure import draw

TASKS = ("relative_position", "colorization", "exemplar")


@pytest.fixture
def layer():
    layer = Combination(TASKS, 5, l1=0.1)
    rng = np.random.default_rng(0)
    for task in TASKS:
        layer.variable(task).assign(rng.normal(0, 3, 5))
    return layer


def test_starts_uniform():
    alpha = Combination(TASKS, 23).alpha()
    np.testing.assert_allclose(alpha, np.full((3, 23), 23**-0.5), rtol=1e-5)


def test_rows_have_unit_norm_and_either_sign(layer):
    alpha = layer.alpha().numpy()
    np.testing.assert_allclose(np.sum(alpha**2, axis=1), np.ones(3), rtol=1e-5)
    assert np.any(alpha < 0) and np.any(alpha > 0)
    np.testing.assert_array_equal(alpha[1], layer.row("colorization"))


def test_penalty_is_the_l1_norm_of_only_that_row(layer):
    expected = 0.1 * np.sum(np.abs(layer.row("exemplar")))
    np.testing.assert_allclose(layer.penalty("exemplar"), expected, rtol=1e-5)
    with tf.GradientTape() as tape:
        penalty = layer.penalty("exemplar")
    gradients = tape.gradient(penalty, [layer.variable(task) for task in TASKS])
    assert gradients[:2] == [None, None]
    assert np.any(gradients[2])


@pytest.mark.parametrize("units", [1, 2, 3, 5, 7])
def test_group_penalty_adds_the_weighted_norms_of_the_blocks(units):
    layer = Combination(TASKS, 5, l1=0.1, group=0.3, group_units=units)
    raw = np.random.default_rng(1).normal(0, 3, 5)
    layer.variable("exemplar").assign(raw)
    row = raw / np.sqrt(sum(entry**2 for entry in raw))
    expected = 0.1 * sum(abs(entry) for entry in row)
    for first in range(0, 5, units):
        block = [row[unit] for unit in range(first, min(first + units, 5))]
        norm = sum(entry**2 for entry in block) ** 0.5
        expected += 0.3 * len(block) ** 0.5 * norm
    np.testing.assert_allclose(layer.penalty("exemplar"), expected, rtol=1e-5)


def test_blocks_of_one_unit_are_the_l1_penalty(layer):
    grouped = Combination(TASKS, 5, group=0.1, group_units=1)
    grouped.set_weights(layer.get_weights())
    for task in TASKS:
        np.testing.assert_allclose(
            grouped.penalty(task), layer.penalty(task), rtol=1e-5
        )


def test_an_empty_block_has_no_gradient():
    layer = Combination(["task"], 4, group=1.0, group_units=2)
    layer.variable("task").assign([3.0, 4.0, 0.0, 0.0])
    with tf.GradientTape() as tape:
        penalty = layer.penalty("task")
    gradient = tape.gradient(penalty, layer.variable("task"))
    np.testing.assert_allclose(gradient, np.zeros(4), atol=1e-6)


def test_group_penalty_drops_whole_blocks():
    """A target in the units of a single block of three: the other two blocks go."""
    rng = np.random.default_rng(0)
    units = rng.normal(size=(9, 60)).astype(np.float32)
    target = (units[3] + units[4] + units[5]) / 3**0.5

    def row(**penalties):
        layer = Combination(["task"], 9, group_units=3, **penalties)
        optimizer = keras.optimizers.SGD(0.02)
        for _ in range(300):
            with tf.GradientTape() as tape:
                mixed = tf.linalg.matvec(units, layer.row("task"), transpose_a=True)
                noisy = target + rng.normal(0, 2, 60)
                loss = tf.reduce_mean((mixed - noisy) ** 2) + layer.penalty("task")
            variables = layer.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return np.abs(layer.row("task"))

    grouped, plain = row(group=0.3), row()
    others = [0, 1, 2, 6, 7, 8]
    assert np.sum(grouped[others]) < 0.5 * np.sum(plain[others])
    # Inside of the block that is kept, no unit is dropped.
    assert np.all(grouped[3:6] > 0.4)


def test_scale_of_the_raw_row_does_not_matter(layer):
    before = layer.row("exemplar").numpy()
    layer.variable("exemplar").assign(1000 * layer.variable("exemplar"))
    np.testing.assert_allclose(layer.row("exemplar"), before, rtol=1e-5)


def test_penalty_makes_the_row_sparse():
    """A target that needs two of eight units: the lasso drops the other six."""
    rng = np.random.default_rng(0)
    units = rng.normal(size=(8, 50)).astype(np.float32)
    target = 0.8 * units[2] - 0.6 * units[6]

    def small_entries(l1):
        layer = Combination(["task"], 8, l1=l1)
        optimizer = keras.optimizers.SGD(0.02)
        for _ in range(300):
            with tf.GradientTape() as tape:
                mixed = tf.linalg.matvec(units, layer.row("task"), transpose_a=True)
                # Noise in the target keeps the plain fit from being sparse by itself.
                noisy = target + rng.normal(0, 2, 50)
                loss = tf.reduce_mean((mixed - noisy) ** 2) + layer.penalty("task")
            variables = layer.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        alpha = np.abs(layer.row("task"))
        assert set(np.argsort(alpha)[-2:]) == {2, 6}
        return np.sum(alpha) - alpha[2] - alpha[6]

    assert small_entries(0.5) < 0.5 * small_entries(0.0)


def test_config_round_trip_and_names(layer):
    rebuilt = Combination.from_config(layer.get_config())
    assert (rebuilt.tasks, rebuilt.num_units, rebuilt.l1) == (TASKS, 5, 0.1)
    names = [variable.name for variable in layer.trainable_variables]
    assert names == [f"combination/{task}:0" for task in TASKS]


def test_unknown_task_is_refused(layer):
    with pytest.raises(UserError, match="no row for 'rotation'; rows are: relative"):
        layer.row("rotation")


def test_negative_weight_is_refused():
    with pytest.raises(UserError, match="lasso weight of 0 or more"):
        Combination(TASKS, 5, l1=-1.0)


def test_an_empty_or_negative_group_is_refused():
    with pytest.raises(UserError, match=r"blocks of 0 and weight 0\.1"):
        Combination(TASKS, 5, group=0.1, group_units=0)
    with pytest.raises(UserError, match="blocks of 4 and weight -1"):
        Combination(TASKS, 5, group=-1.0)


def test_figure_scale_shows_a_tenth_as_middle_grey():
    alpha = np.array([[0.0, 0.1, -1.0, 0.0]])
    greys, counts = np.unique(draw(alpha, ["task"]), return_counts=True)
    cells = dict(zip(greys.tolist(), counts.tolist()))
    # 0.1 is in the middle of the scale, in a cell of hundreds of pixels.
    assert max(cells.get(level, 0) for level in range(124, 132)) > 600


def test_figure_orders_units_from_the_left():
    alpha = np.zeros((2, 6))
    alpha[:, 0], alpha[:, -1] = 0.0, 1.0
    picture = draw(alpha, ["a"], ["b"]).astype(float)
    mask = np.all(picture == 0, axis=-1)
    rows = np.where(mask.mean(axis=1) > 0.3)[0]
    columns = np.where(mask[rows].all(axis=0))[0]
    assert columns.max() < picture.shape[1] * 0.9
    assert np.all(picture[rows[len(rows) // 4], columns.max() + 8 :][:10] == 255)


def test_figure_refuses_rows_without_names():
    with pytest.raises(UserError, match="3 rows, but 1 self-supervised and 1"):
        draw(np.zeros((3, 4)), ["a"], ["b"])
