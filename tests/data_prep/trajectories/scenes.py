"""Constructs videos with known ground truth for each pixel.

A moving camera films a photo as the background; patches cut from other photos are the
objects. A static object nearer than the background (parallax) is background too.
"""

import dataclasses

import cv2
import numpy as np
import skimage.data

HEIGHT, WIDTH = 240, 320


@dataclasses.dataclass(frozen=True)
class Path:
    """Motion per frame.

    Attributes:
      pan: (x, y) in pixels.
      zoom: factor.
      degrees: rotation about the centre.
      shake: standard deviation, in pixels, of an additional random pan.
    """

    pan: tuple = (0.0, 0.0)
    zoom: float = 1.0
    degrees: float = 0.0
    shake: float = 0.0

    def matrices(self, frames, rng):
        """Returns float64 [frames, 3, 3], which map pixels of frame 0 to frame t."""
        shakes = rng.normal(0, self.shake or 0.0, [frames, 2])
        shakes[0] = 0
        result = []
        for t in range(frames):
            matrix = np.eye(3)
            matrix[:2] = cv2.getRotationMatrix2D(
                (WIDTH / 2, HEIGHT / 2), self.degrees * t, self.zoom**t
            )
            matrix[:2, 2] += np.multiply(self.pan, t) + shakes[t]
            result.append(matrix)
        return np.array(result)


@dataclasses.dataclass(frozen=True)
class Layer:
    """An ellipse cut from a photo, in front of the background.

    Attributes:
      texture: name of a photo in `skimage.data`.
      centre, radii: (x, y) pixels in frame 0.
      own: the layer's `Path` relative to the background.
      moving: whether the ground truth counts it as foreground.
    """

    texture: str
    centre: tuple
    radii: tuple
    own: Path
    moving: bool = True


@dataclasses.dataclass(frozen=True)
class Scene:
    """A background photo, a camera path and layers over it."""

    background: str
    camera: Path = Path()
    layers: tuple = ()
    noise: float = 3.0
    seed: int = 0


def render(scene, frames):
    """Returns (uint8 [frames, H, W, 3] BGR, bool [frames, H, W] moving)."""
    rng = np.random.default_rng(scene.seed)
    camera = scene.camera.matrices(frames, rng)
    photos = [_photo(scene.background)] + [_photo(x.texture) for x in scene.layers]
    owns = [layer.own.matrices(frames, rng) for layer in scene.layers]
    images, truths = [], []
    for t in range(frames):
        image = _warp(photos[0], camera[t])
        truth = np.zeros([HEIGHT, WIDTH], bool)
        for layer, photo, own in zip(scene.layers, photos[1:], owns):
            matrix = camera[t] @ own[t]
            shape = _warp(_ellipse(layer), matrix, cv2.BORDER_CONSTANT)[..., None]
            image = image + (_warp(photo, matrix) - image) * shape
            covered = shape[..., 0] > 0.5
            truth = np.where(covered, layer.moving, truth)
        image = image + rng.normal(0, scene.noise or 0.0, image.shape)
        images.append(np.clip(np.rint(image), 0, 255).astype(np.uint8))
        truths.append(truth)
    return np.array(images), np.array(truths)


def cell_truth(truth):
    """Returns bool [H / 8, W / 8]: whether at least half of a cell is true."""
    height, width = (side // 8 * 8 for side in truth.shape)
    cells = truth[:height, :width].reshape(height // 8, 8, width // 8, 8)
    return cells.mean(axis=(1, 3)) >= 0.5


def iou(mask, truth):
    """Returns the intersection over union of the foreground, without ignored cells."""
    known = mask != 255
    predicted, truth = (mask == 1) & known, truth & known
    return np.count_nonzero(predicted & truth) / max(
        1, np.count_nonzero(predicted | truth)
    )


def write(path, images, fourcc="MJPG", fps=25):
    """Writes uint8 [T, H, W, 3] BGR frames as a video file."""
    size = images.shape[2], images.shape[1]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*fourcc), fps, size)
    assert writer.isOpened()
    for image in images:
        writer.write(image)
    writer.release()


# Photos are larger than the frame, so that the camera never sees their border.
MARGIN = 80


def _photo(name):
    photo = getattr(skimage.data, name)()
    if photo.ndim == 2:
        photo = np.repeat(photo[..., None], 3, axis=2)
    size = WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN
    photo = cv2.resize(photo[..., 2::-1], size, interpolation=cv2.INTER_AREA)
    return photo.astype(np.float32)


def _ellipse(layer):
    shape = np.zeros([HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN], np.float32)
    centre = tuple(int(x + MARGIN) for x in layer.centre)
    cv2.ellipse(shape, centre, layer.radii, 0, 0, 360, 1.0, -1, cv2.LINE_AA)
    return shape


def _warp(image, matrix, border=cv2.BORDER_REFLECT):
    shift = np.array([[1, 0, -MARGIN], [0, 1, -MARGIN], [0, 0, 1.0]])
    return cv2.warpPerspective(
        image, matrix @ shift, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=border
    )
