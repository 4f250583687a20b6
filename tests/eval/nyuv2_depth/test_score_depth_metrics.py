"""The five measures: hand-worked, a loop-written reference, invariances, bad input."""

import math

import numpy as np
import pytest

from eval.nyuv2_depth.score.depth_metrics import NAMES, DepthMetrics
from selfsup.common.errors import UserError


def _measure(*images):
    """The result for (predicted, truth, valid) of each image."""
    metrics = DepthMetrics()
    for image in images:
        metrics.add(*image)
    return metrics.result()


def test_by_hand():
    """Ratios 1, 1.25 (not under it), 1.5, 1.6 and 2; errors 0, 0.5, 1, 1.5 and 1."""
    predicted = np.float32([[1.0, 2.5, 2.0, 4.0, 2.0, 9.0]])
    truth = np.float32([[1.0, 2.0, 3.0, 2.5, 1.0, 0.0]])
    assert _measure((predicted, truth, truth > 0)) == {
        "under_1.25": pytest.approx(1 / 5),
        "under_1.25_2": pytest.approx(3 / 5),
        "under_1.25_3": pytest.approx(4 / 5),
        "mean_absolute_error": pytest.approx(4.0 / 5),
        "mean_relative_error": pytest.approx((0.25 + 1 / 3 + 0.6 + 1.0) / 5),
    }


@pytest.mark.parametrize("predicted", [0.0, -0.0, -1.0, -2.0, 1e-30])
def test_no_depth_is_near_nothing(predicted):
    """-1 against 1 has the ratio -1, which is less than 1.25, and is wrong."""
    result = _measure(([[predicted]], [[1.0]], [[True]]))
    assert [result[name] for name in NAMES[:3]] == [0.0, 0.0, 0.0]
    assert result["mean_absolute_error"] == pytest.approx(1 - predicted)
    assert result["mean_relative_error"] == pytest.approx(1 - predicted)


def _reference(images):
    """The definition of the appendix, pixel by pixel."""
    sums, pixels = [0.0] * 5, 0
    for predicted, truth, valid in images:
        for p, d, known in zip(predicted.flat, truth.flat, valid.flat):
            if not known:
                continue
            p, d = float(p), float(d)
            ratio = max(d / p, p / d) if p > 0 else math.inf
            measured = [ratio < 1.25, ratio < 1.25**2, ratio < 1.25**3]
            measured += [abs(p - d), abs(p - d) / d]
            sums = [total + value for total, value in zip(sums, measured)]
            pixels += 1
    return dict(zip(NAMES, [total / pixels for total in sums]))


def _random(rng, dtype=np.float32):
    """An image of 4x5 pixels, some unknown, some predictions zero or negative."""
    truth = rng.uniform(0.5, 10, [4, 5]).astype(dtype)
    predicted = (truth * rng.uniform(0.4, 2.2, [4, 5])).astype(dtype)
    predicted[rng.random([4, 5]) < 0.1] = rng.choice([0.0, -1.5])
    valid = rng.random([4, 5]) < 0.8
    truth[~valid] = rng.choice([0.0, np.nan])
    return predicted, truth, valid


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_slow_reference(dtype):
    rng = np.random.default_rng(0)
    for _ in range(30):
        images = [_random(rng, dtype) for _ in range(3)]
        assert _measure(*images) == pytest.approx(_reference(images), rel=1e-9)


def test_batches_and_their_order_do_not_matter():
    rng = np.random.default_rng(1)
    images = [_random(rng) for _ in range(6)]
    expected = _measure(*images)
    assert _measure(*reversed(images)) == pytest.approx(expected, rel=1e-12)
    whole = [np.stack(arrays) for arrays in zip(*images)]
    assert _measure(whole) == pytest.approx(expected, rel=1e-12)


def test_every_pixel_counts_the_same():
    """Not a mean of the images' means: these have a single known pixel and three."""
    sparse = ([[1.0, 9, 9]], [[2.0, 0, 0]], [[True, False, False]])
    dense = (np.ones([1, 3]), np.ones([1, 3]), np.ones([1, 3], bool))
    assert _measure(sparse, dense)["under_1.25"] == 3 / 4


def test_scaling_both_changes_only_the_absolute_error():
    predicted, truth, valid = _random(np.random.default_rng(2))
    result = _measure((predicted, truth, valid))
    scaled = _measure((8 * predicted, 8 * truth, valid))
    assert scaled.pop("mean_absolute_error") == 8 * result.pop("mean_absolute_error")
    assert scaled == pytest.approx(result, rel=1e-12)


def test_unknown_pixels_may_hold_any_value():
    predicted = np.float32([[1.0, np.nan, np.inf]])
    truth = np.float32([[1.0, -3.0, np.inf]])
    result = _measure((predicted, truth, np.array([[True, False, False]])))
    assert result["under_1.25"] == 1.0


@pytest.mark.parametrize(
    ("predicted", "truth", "valid", "message"),
    [
        ([[1.0, 2.0]], [[1.0]], [[True]], r"predicted \(1, 2\), true \(1, 1\)"),
        ([[1.0]], [[1.0]], [True], r"valid \(1,\)"),
        ([[math.nan]], [[1.0]], [[True]], "1 predicted depths are not finite"),
        ([[math.inf]], [[1.0]], [[True]], "1 predicted depths are not finite"),
        ([[1.0]], [[0.0]], [[True]], "1 true depths are not depths, such as 0"),
        ([[1.0]], [[-1.0]], [[True]], "such as -1"),
        ([[1.0]], [[math.nan]], [[True]], "such as nan"),
    ],
)
def test_bad_input(predicted, truth, valid, message):
    with pytest.raises(UserError, match=message):
        DepthMetrics().add(predicted, truth, valid)


def test_nothing_to_measure():
    metrics = DepthMetrics()
    metrics.add([[1.0]], [[0.0]], [[False]])
    with pytest.raises(UserError, match="no pixel has a known depth"):
        metrics.result()
