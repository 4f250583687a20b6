"""Training crops: photo and depth stay aligned, and depth follows the scale."""

import numpy as np
import tensorflow as tf

from eval.nyuv2_depth import augmentation
from eval.nyuv2_depth.augmentation import Views
from eval.nyuv2_depth.config import Config

CONFIG = Config(height=48, width=64, crop_height=32, crop_width=48)
SIZE = (CONFIG.crop_height, CONFIG.crop_width)
# Metres at the photo's upper left corner, and more per pixel down and to the right.
PLANE = (2.0, 0.05, 0.03)


def _places(count):
    """Photos whose channels are the pixels' own x and y, in [0, 1], and 0.5."""
    rows, columns = np.mgrid[: CONFIG.height, : CONFIG.width].astype(np.float32)
    channels = [
        (columns + 0.5) / CONFIG.width,
        (rows + 0.5) / CONFIG.height,
        np.full_like(rows, 0.5),
    ]
    return np.repeat(np.stack(channels, -1)[None], count, axis=0)


def _plane(x, y):
    return PLANE[0] + PLANE[1] * y + PLANE[2] * x


def _planes(count):
    rows, columns = np.mgrid[: CONFIG.height, : CONFIG.width].astype(np.float32)
    depth = _plane(columns + 0.5, rows + 0.5)[None, ..., None]
    return np.repeat(depth, count, axis=0).astype(np.float32)


def _halved(maps):
    """Means of 2x2 cells: [B, h, w, C] -> [B, h / 2, w / 2, C]."""
    return tf.nn.avg_pool2d(maps, 2, 2, padding="VALID").numpy()


def test_a_plane_is_seen_at_its_depth_over_the_scale():
    """The depth of a crop is the plane's depth at the position that the photo encodes."""
    views = augmentation.draw_views(32, CONFIG, [0, 7])
    images = augmentation.crop_images(_places(32), views, SIZE).numpy()
    depths = augmentation.crop_depths(_planes(32), views, SIZE).numpy()
    assert images.shape == (32, *SIZE, 3)
    assert depths.shape == (32, SIZE[0] // 2, SIZE[1] // 2)
    seen = _halved(images)
    expected = _plane(seen[..., 0] * CONFIG.width, seen[..., 1] * CONFIG.height)
    expected /= views.scale.numpy()[:, None, None]
    # Rotated crops reach beyond the photo, where depth is unknown.
    inside = depths > 0
    assert inside.mean() > 0.97
    # The nearest pixel is half a pixel away at most, in x and in y.
    bound = (PLANE[1] + PLANE[2]) * 0.5 + 1e-3
    edge = np.minimum(seen[..., :2], 1 - seen[..., :2]).min(-1) < 0.02
    assert np.abs(depths - expected)[inside & ~edge].max() < bound


def _view(scale=1.0, angle=0.0, mirror=1.0, centre=(32.0, 24.0)):
    values = [
        np.array([number], np.float32) for number in (scale, angle, mirror, centre)
    ]
    return Views(*(tf.constant(value) for value in values))


def test_the_plain_view_is_the_photos_middle():
    images = np.random.default_rng(0).random([1, 48, 64, 3]).astype(np.float32)
    cropped = augmentation.crop_images(images, _view(), SIZE)
    np.testing.assert_allclose(cropped, images[:, 8:40, 8:56], atol=1e-6)


def test_mirroring_moves_photo_and_depth():
    random = np.random.default_rng(0)
    images = random.random([1, 48, 64, 3]).astype(np.float32)
    # Of 2x2 cells of one depth, so that which of them is the nearest does not matter.
    depths = np.kron(random.random([24, 32]), np.ones([2, 2]))[None, ..., None]
    results = []
    for mirror in (1.0, -1.0):
        view = _view(mirror=mirror)
        results.append(
            (
                augmentation.crop_images(images, view, SIZE).numpy(),
                augmentation.crop_depths(depths.astype(np.float32), view, SIZE).numpy(),
            )
        )
    (image, depth), (mirrored_image, mirrored_depth) = results
    np.testing.assert_allclose(mirrored_image, image[:, :, ::-1], atol=1e-6)
    np.testing.assert_array_equal(mirrored_depth, depth[:, :, ::-1])
    assert len(np.unique(depth)) > 300


def test_rotation_turns_about_the_centre():
    """A quarter turn moves the right side to the bottom, or to the top."""
    image = np.zeros([1, 48, 64, 3], np.float32)
    image[:, 22:26, 44:48] = 1.0
    view = _view(angle=np.pi / 2)
    turned = augmentation.crop_images(image, view, (40, 40)).numpy()[0, ..., 0]
    rows, columns = np.nonzero(turned > 0.5)
    assert abs(columns.mean() - 19.5) < 0.51
    assert abs(abs(rows.mean() - 19.5) - 14) < 0.51


def test_views_are_in_their_ranges():
    views = augmentation.draw_views(2000, CONFIG, [3, 4])
    scale, degrees = views.scale.numpy(), np.rad2deg(views.angle.numpy())
    assert 1 <= scale.min() < 1.01
    assert 1.49 < scale.max() <= 1.5
    assert -5 <= degrees.min() < -4.9
    assert 4.9 < degrees.max() <= 5
    assert abs(views.mirror.numpy().mean()) < 0.1
    half = np.array([48, 32]) / (2 * scale[:, None])
    margin = np.minimum(views.centre - half, [64, 48] - views.centre - half)
    assert margin.min() > -1e-4


def test_color_keeps_range_and_place():
    images = np.random.default_rng(0).random([64, 4, 4, 3]).astype(np.float32)
    changed = augmentation.color(images, 0.2, [0, 0]).numpy()
    assert changed.min() >= 0
    assert changed.max() <= 1
    dark = images.max(axis=(1, 2), keepdims=True) * 1.2 < 1
    factors = np.where(dark, changed / images, 1.0)
    spread = factors.max(axis=(1, 2)) - factors.min(axis=(1, 2))
    assert spread.max() < 1e-4
    assert factors.min() >= 0.8 - 1e-5
    assert factors.max() <= 1.2 + 1e-5
    assert np.array_equal(augmentation.color(images, 0.0, [0, 0]), images)


def test_a_batch_is_reproducible():
    images = np.random.default_rng(0).integers(0, 256, [3, 48, 64, 3], np.uint8)
    first, again, other = (
        augmentation.augment(images, _planes(3), CONFIG, seed)
        for seed in ([0, 1], [0, 1], [0, 2])
    )
    assert first[0].shape == (3, *SIZE, 3)
    assert first[1].shape == (3, SIZE[0] // 2, SIZE[1] // 2)
    for index in (0, 1):
        np.testing.assert_array_equal(first[index], again[index])
        assert np.any(first[index] != other[index])
