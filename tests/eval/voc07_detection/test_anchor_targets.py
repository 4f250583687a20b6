"""Anchors, their targets and the seeded draws, on cases worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from eval.voc07_detection import anchors, sampling
from eval.voc07_detection.config import Config

# One scale and shape: an anchor of 32x32 around the centre of each cell of 16x16.
PLAIN = Config(anchor_size=32.0, anchor_scales=(1.0,), anchor_ratios=(1.0,))
SEED = tf.constant([1, 2])


def test_anchors_of_a_canvas():
    layout = anchors.canvas_anchors(32, 48, PLAIN)
    assert layout.shape == (2, 3, 4)
    np.testing.assert_array_equal(layout[0, 0], [-8, -8, 24, 24])
    np.testing.assert_array_equal(layout[1, 2], [8, 24, 40, 56])


def test_scales_and_shapes_of_anchors():
    """.25 to 2 of 256 pixels, at ratios of width to height of a half, 1 and 2."""
    layout = anchors.canvas_anchors(600, 800, Config())
    assert layout.shape == (38, 50, 48)
    sides = layout[20, 20].reshape([12, 2, 2])
    heights, widths = (sides[:, 1] - sides[:, 0]).T
    areas = np.repeat([64.0, 128.0, 256.0, 512.0], 3)
    np.testing.assert_allclose(np.sqrt(heights * widths), areas, rtol=1e-5)
    np.testing.assert_allclose(widths / heights, [0.5, 1, 2] * 4, rtol=1e-5)


def _targets(boxes, sizes=((64, 64),), config=PLAIN):
    layout = anchors.canvas_anchors(64, 64, config)
    labels, offsets = anchors.AnchorTargets(config)(
        layout,
        tf.constant(boxes, tf.float32),
        tf.constant(sizes, tf.float32),
        SEED,
    )
    return labels.numpy()[..., 0], offsets.numpy()


def test_an_anchor_on_its_object():
    """The box is the anchor of cell (1, 1) but for 4 rows: an overlap of 7/8.

    Its neighbours overlap it by a third or less.
    """
    labels, offsets = _targets([[[8, 8, 36, 40]]])
    expected = np.zeros([1, 4, 4])
    expected[0, 1, 1] = 1
    expected[0, 1, [0, 2]] = labels[0, 1, [0, 2]]
    expected[0, 0, 1] = labels[0, 0, 1]
    np.testing.assert_array_equal(labels, expected)
    # Moved up by 2 of 32 rows, 28/32 as high.
    np.testing.assert_allclose(
        offsets[0, 1, 1], [-2 / 32, 0, np.log(28 / 32), 0], atol=1e-5
    )
    assert np.count_nonzero(offsets.any(-1)) == 1


def test_overlaps_between_the_thresholds_are_left_out():
    """Anchor (1, 2) shares 16x32 pixels with an object at (1, 1): a third."""
    labels, _ = _targets([[[8, 8, 40, 40]]])
    assert labels[0, 1, 1] == 1
    np.testing.assert_array_equal(labels[0, 1, [0, 2]], [-1, -1])
    np.testing.assert_array_equal(labels[0, [0, 2], 1], [-1, -1])
    # Diagonal neighbours share 16x16: a seventh.
    assert labels[0, 0, 0] == labels[0, 2, 2] == 0


def test_the_best_anchor_is_on_an_object_however_small_the_overlap():
    labels, offsets = _targets([[[20, 20, 28, 28]]])
    assert labels[0, 1, 1] == 1
    assert (labels == 1).sum() == 1
    np.testing.assert_allclose(
        offsets[0, 1, 1], [0, 0, np.log(1 / 4), np.log(1 / 4)], atol=1e-5
    )


def test_images_without_objects_and_rows_of_padding():
    absent = [-1] * 4
    labels, offsets = _targets(
        [[absent, absent], [[8, 8, 36, 40], absent]], sizes=((64, 64), (64, 64))
    )
    np.testing.assert_array_equal(labels[0], np.zeros([4, 4]))
    assert (labels[1] == 1).sum() == 1
    assert np.count_nonzero(offsets.any(-1)) == 1


def test_the_canvas_beside_the_image_is_no_background():
    labels, _ = _targets([[[-1] * 4]], sizes=((40, 64),))
    np.testing.assert_array_equal(labels[0, :2], 0)
    # The third row's centres are at 40, the lower edge.
    np.testing.assert_array_equal(labels[0, 2:], -1)


def test_so_many_anchors_are_drawn():
    config = Config(anchor_size=32.0, rpn_samples=16)
    layout = anchors.canvas_anchors(64, 64, config)
    labels, _ = anchors.AnchorTargets(config)(
        layout, tf.constant([[[0.0, 0, 40, 40]]]), tf.constant([[64.0, 64]]), SEED
    )
    labels = labels.numpy()
    assert (labels >= 0).sum() == 16
    assert 1 <= (labels == 1).sum() <= 8


POSITIVE = np.zeros([2, 40], bool)
POSITIVE[0, :12] = True
POSITIVE[1, :2] = True
NEGATIVE = np.zeros([2, 40], bool)
NEGATIVE[:, 20:] = True


def _draw(seed=SEED, number=16, share=0.25):
    drawn = sampling.balanced(POSITIVE, NEGATIVE, number, share, seed)
    return [part.numpy() for part in drawn]


def test_shares_of_a_draw():
    indices, drawn = _draw()
    assert drawn.all()
    taken = np.take_along_axis(POSITIVE, indices, 1).sum(1)
    # A quarter of 16; all that there are.
    np.testing.assert_array_equal(taken, [4, 2])
    assert np.take_along_axis(NEGATIVE, indices, 1).sum(1).tolist() == [12, 14]
    assert all(len(set(row)) == 16 for row in indices)


def test_too_few_are_filled_up():
    indices, drawn = _draw(number=30)
    # 7 and 2 positives, 20 negatives.
    assert drawn.sum(1).tolist() == [27, 22]
    assert all(len(set(row)) == 30 for row in indices)


def test_draws_follow_from_the_seed():
    first, again, other = (
        _draw(tf.constant(seed))[0] for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


@pytest.mark.parametrize("number", [1, 100])
def test_draws_of_one_and_of_more_than_there_are(number):
    indices, _ = _draw(number=number)
    assert indices.shape == (2, min(number, 40))


def test_each_positive_is_drawn_as_often():
    seeds = [_draw(tf.constant([seed, 0]))[0][0] for seed in range(200)]
    counts = np.bincount(np.concatenate(seeds), minlength=40)[:12]
    # 200 draws of 4 of 12; five standard deviations of a binomial.
    assert np.all(np.abs(counts - 200 / 3) < 5 * np.sqrt(200 * 2 / 9))
