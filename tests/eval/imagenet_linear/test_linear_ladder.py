"""The choice of the learning rate, and the held-out photos that decide it."""

import json

import numpy as np
import pytest
import tensorflow as tf

from eval.imagenet_linear import ladder
from eval.imagenet_linear.held_out import is_held_out
from eval.imagenet_linear.ladder import Scores
from selfsup.common.errors import UserError

RATES = (1.0, 3.0, 10.0)


def _scores(nats, top1=None):
    nats = np.array(nats, np.float64)
    top1 = np.zeros_like(nats) if top1 is None else np.array(top1)
    return Scores(50, top1, top1, nats)


def test_each_row_has_its_own_best_rate():
    scores = _scores([[2.0, 1.0, 3.0], [0.5, 0.6, 0.7], [3.0, 2.0, 1.0]])
    np.testing.assert_array_equal(ladder.choose(scores), [1, 0, 2])


def test_a_layer_that_diverged_is_never_chosen_and_is_null_in_the_report():
    scores = _scores([[np.nan, 1.0, np.inf]], [[1.0, 0.5, 1.0]])
    chosen = ladder.choose(scores)
    np.testing.assert_array_equal(chosen, [1])
    report = ladder.report(RATES, chosen, scores, scores)
    json.dumps(report, allow_nan=False)
    assert report["held_out"]["cross_entropy"] == [[None, 1.0, None]]
    assert report["held_out"]["photos"] == 50
    assert report["chosen"] == [3.0]


def test_a_ladder_without_finite_losses_is_an_error():
    with pytest.raises(UserError, match=r"no learning rate .* set=learning_rates"):
        ladder.choose(_scores([[1.0, 2.0, 3.0], [np.nan, np.inf, np.nan]]))


@pytest.mark.parametrize(("best", "end"), [(0, "lowest"), (1, None), (2, "highest")])
def test_the_remarks_name_the_choice_and_an_end_of_the_ladder(best, end):
    scores = _scores([[2.0, 2.0, 2.0]], [[0.25, 0.5, 0.75]])
    first, *more = ladder.remarks(RATES, scores, np.array([best]))
    assert first == (
        f"learning rate {RATES[best]:g} of 1, 3, 10: top1 "
        f"{(best + 1) / 4:.4f} on 50 held-out training photos"
    )
    assert bool(more) == (end is not None)
    if more:
        assert f"this is the {end} learning rate of the ladder" in more[0]


KEYS = np.array([f"n{number % 100:08d}/{number}.JPEG" for number in range(20_000)])


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5])
def test_the_share_that_is_held_out(share):
    held_out = is_held_out(tf.constant(KEYS), share).numpy()
    assert held_out.mean() == pytest.approx(share, abs=3.5 * (share / 20_000) ** 0.5)


def test_only_key_and_share_decide_what_is_held_out():
    held_out = is_held_out(tf.constant(KEYS), 0.1).numpy()
    singly = [bool(is_held_out(tf.constant(key), 0.1)) for key in KEYS[:50]]
    np.testing.assert_array_equal(held_out[:50], singly)
    more = is_held_out(tf.constant(KEYS), 0.2).numpy()
    assert np.all(more[held_out])
    # Of other versions of TensorFlow and other machines as well.
    np.testing.assert_array_equal(np.flatnonzero(held_out)[:5], [17, 19, 30, 32, 39])
