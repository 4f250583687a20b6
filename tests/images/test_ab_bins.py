import numpy as np
import pytest
from skimage import color

from selfsup.common.errors import UserError
from selfsup.images import ab_bins


def test_centres_are_the_grid_cells_that_the_gamut_reaches():
    centres = ab_bins.centres()
    assert centres.shape == (313, 2) and centres.dtype == np.float32
    assert np.all(centres % 10 == 0)
    assert len(np.unique(centres, axis=0)) == 313
    steps = np.linspace(0, 1, 18)
    cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 1, 3)
    ab = color.rgb2lab(cube)[:, 0, 1:]
    distance = np.linalg.norm(ab[:, None] - centres[None], axis=-1).min(axis=1)
    assert distance.max() < 12


def test_imagenet_prior_is_a_distribution_with_gray_in_front():
    prior = ab_bins.imagenet_prior()
    assert prior.shape == (313,) and prior.dtype == np.float32
    assert prior.sum() == pytest.approx(1, abs=1e-6)
    assert prior.min() > 0
    assert np.abs(ab_bins.centres()[prior.argmax()]).max() <= 10


def test_a_written_prior_is_read_back(tmp_path):
    prior = np.random.default_rng(0).dirichlet(np.ones(313))
    path = tmp_path / "prior.csv"
    ab_bins.write_prior(path, prior)
    np.testing.assert_allclose(ab_bins.read_prior(path), prior, rtol=1e-6)


def _lines(tmp_path):
    path = tmp_path / "prior.csv"
    ab_bins.write_prior(path, ab_bins.imagenet_prior())
    return path, path.read_text().splitlines()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: ["x,y,z"] + lines[1:], "expected a first line 'a,b,prior'"),
        (lambda lines: lines[:-1], "got 312 rows"),
        (lambda lines: lines[:1] + lines[2:] + lines[1:2], "other centres"),
        (lambda lines: lines[:5] + ["-90,80,much"] + lines[6:], "could not convert"),
        (lambda lines: lines[:-1] + [lines[-1] + ",1"], "not a CSV file"),
        (lambda lines: lines[:1] + [f"{x}9" for x in lines[1:]], "sum to 1"),
        (lambda lines: lines[:1] + [f"{x[:-1]}nan" for x in lines[1:]], "prior"),
        (lambda lines: [], "expected a first line"),
    ],
)
def test_bad_priors_are_refused_by_name(tmp_path, change, message):
    path, lines = _lines(tmp_path)
    path.write_text("\n".join(change(lines)))
    with pytest.raises(UserError, match=message) as error:
        ab_bins.read_prior(path)
    assert str(path) in str(error.value)


def test_percentages_are_refused(tmp_path):
    path = tmp_path / "prior.csv"
    ab_bins.write_prior(path, 100 * ab_bins.imagenet_prior())
    with pytest.raises(UserError, match="its sum 100"):
        ab_bins.read_prior(path)


def test_a_missing_or_binary_prior_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"missing\.csv"):
        ab_bins.read_prior(tmp_path / "missing.csv")
    path = tmp_path / "photo.jpg"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match=r"photo\.jpg"):
        ab_bins.read_prior(path)
