import numpy as np
import pytest
import tensorflow as tf

from selfsup.images import ab_bins, ab_encoding


def _soft_code_reference(color, centres, neighbors):
    """Computes the dense soft code of one colour by loops."""
    distances = [np.hypot(*(color - centre)) for centre in centres.astype(float)]
    nearest = sorted(range(len(centres)), key=lambda k: distances[k])
    nearest = nearest[:neighbors]
    code = np.zeros(len(centres))
    for k in nearest:
        code[k] = np.exp(-(distances[k] ** 2) / (2 * 5.0**2))
    return code / code.sum()


def _dense(indices, weights, bins):
    code = np.zeros(indices.shape[:-1] + (bins,))
    np.put_along_axis(code, indices.astype(int), weights, axis=-1)
    return code


# The values in the text of Zhang et al. and in their public code.
@pytest.mark.parametrize("neighbors", [5, 10])
def test_soft_encoding_equals_its_reference(everywhere, rng, neighbors):
    centres = ab_bins.centres()
    ab = rng.uniform(-80, 80, (2, 3, 4, 2)).astype(np.float32)
    indices, weights = everywhere(
        lambda x: ab_encoding.soft_encode(x, ab_bins.centres(), neighbors), ab
    )
    assert indices.shape == weights.shape == (2, 3, 4, neighbors)
    dense = _dense(indices, weights, 313)
    for place in np.ndindex(ab.shape[:-1]):
        reference = _soft_code_reference(ab[place], centres, neighbors)
        np.testing.assert_allclose(dense[place], reference, atol=2e-4)


def test_the_nearest_bin_of_a_centre_is_its_own():
    centres = ab_bins.centres()
    indices, weights = ab_encoding.soft_encode(centres, centres)
    np.testing.assert_array_equal(indices[:, 0], np.arange(313))
    np.testing.assert_allclose(tf.reduce_sum(weights, -1), 1, rtol=1e-6)


def test_rebalancing_weights_by_loops():
    prior = ab_bins.imagenet_prior().astype(float)
    raw = [1 / (0.5 * p + 0.5 / 313) for p in prior]
    mean = sum(p * w for p, w in zip(prior, raw))
    weights = ab_encoding.rebalancing_weights(prior, 0.5)
    np.testing.assert_allclose(weights, np.array(raw) / mean, rtol=1e-6)
    np.testing.assert_allclose(np.sum(prior * weights), 1, rtol=1e-6)
    assert weights[prior.argmax()] == weights.min()


def test_uniform_priors_and_shares_disable_rebalancing():
    np.testing.assert_allclose(ab_encoding.rebalancing_weights(np.full(9, 1 / 9)), 1)
    prior = ab_bins.imagenet_prior()
    np.testing.assert_allclose(ab_encoding.rebalancing_weights(prior, 1.0), 1, 1e-5)


def test_cross_entropy_by_loops(everywhere, rng):
    logits = rng.normal(size=(2, 3, 4, 20)).astype(np.float32)
    indices = rng.integers(0, 20, (2, 3, 4, 5)).astype(np.int32)
    weights = rng.dirichlet(np.ones(5), (2, 3, 4)).astype(np.float32)
    losses = everywhere(ab_encoding.cross_entropy, logits, indices, weights)
    for place in np.ndindex(2, 3, 4):
        row = logits[place].astype(float)
        log_probabilities = row - np.log(np.exp(row).sum())
        expected = -sum(
            w * log_probabilities[k] for k, w in zip(indices[place], weights[place])
        )
        np.testing.assert_allclose(losses[place], expected, rtol=1e-5)


def test_the_annealed_mean_is_between_mean_and_mode(everywhere, rng):
    centres = ab_bins.centres()
    logits = rng.normal(size=(6, 313)).astype(np.float32)

    def decode(temperature):
        return everywhere(
            lambda x: ab_encoding.annealed_mean(x, ab_bins.centres(), temperature),
            logits,
        )

    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(decode(1.0), probabilities @ centres, atol=1e-3)
    np.testing.assert_allclose(decode(1e-4), centres[logits.argmax(-1)], atol=1e-3)
    sharpened = probabilities ** (1 / 0.38)
    sharpened /= sharpened.sum(-1, keepdims=True)
    np.testing.assert_allclose(decode(0.38), sharpened @ centres, atol=1e-3)


def test_photos_with_one_colored_pixel_are_colorful():
    ab = np.zeros((4, 2, 3, 2), np.float32)
    ab[1, 1, 2, 0] = 5.1
    ab[2, 0, 0, 1] = -5.1
    ab[3] = 5.0
    np.testing.assert_array_equal(
        ab_encoding.is_colorful(ab), [False, True, True, False]
    )
