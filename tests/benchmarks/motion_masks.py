"""Compares motion masks with the plain baseline on constructed scenes.

    python -m tests.benchmarks.motion_masks [WORLD]

prints the tables of docs/trajectories.md, in Markdown. WORLD is a folder that
data_prep.synthetic has made; then its videos are scored in place of the scenes.
"""

import dataclasses
import os
import sys

import cv2
import numpy as np

from data_prep.media import video_reading
from data_prep.sources import video_conversion
from data_prep.trajectories import masks
from tests.benchmarks import motion_baseline
from tests.data_prep.trajectories import scenes
from tests.data_prep.trajectories.scenes import Layer, Path, Scene

LENGTH = 10
# Background, object; every third scene has a static wall before its background.
PHOTOS = (
    *(("coffee", "astronaut"), ("rocket", "coffee"), ("chelsea", "grass")),
    *(("astronaut", "gravel"), ("brick", "immunohistochemistry")),
    *(("grass", "rocket"), ("camera", "coins")),
    *(("immunohistochemistry", "brick"), ("moon", "camera"), ("page", "chelsea")),
)


def moving_objects():
    """Ten scenes: one textured object, a camera that pans, zooms, turns and shakes."""
    rng = np.random.default_rng(1)
    return [_scene(index, rng) for index in range(len(PHOTOS))]


def slow_objects():
    """The same with objects at two fifths of their speed, wobbling."""
    return [_with_object(s, _slowed) for s in moving_objects()]


def large_objects():
    """The same with objects over about a third of the frame."""
    return [
        _with_object(s, lambda layer: dataclasses.replace(layer, radii=(100, 85)))
        for s in moving_objects()
    ]


def static_scenes():
    """The same without objects."""
    return [dataclasses.replace(s, layers=()) for s in moving_objects()]


def _scene(index, rng):
    background, texture = PHOTOS[index]
    camera = Path(
        pan=tuple(rng.uniform(-3, 3, 2)),
        zoom=1 + rng.uniform(-0.008, 0.008),
        degrees=rng.uniform(-0.5, 0.5),
        shake=rng.choice([0, 0.7]),
    )
    own = Path(
        pan=tuple(rng.choice([-1, 1], 2) * rng.uniform(1.5, 4, 2)),
        degrees=rng.uniform(-1, 1),
    )
    centre = rng.uniform(90, 230), rng.uniform(80, 160)
    radii = int(rng.uniform(25, 60)), int(rng.uniform(25, 50))
    layers = [Layer(texture, centre, radii, own)]
    if index % 3 == 2:
        wall = Layer("brick", (60, 180), (50, 40), Path(pan=(0.9, 0.3)), moving=False)
        layers.insert(0, wall)
    return Scene(background, camera, tuple(layers), (1, 2, 4)[index % 3], index)


def _with_object(scene, change):
    layers = [change(layer) if layer.moving else layer for layer in scene.layers]
    return dataclasses.replace(scene, layers=tuple(layers))


def _slowed(layer):
    pan = tuple(0.4 * speed for speed in layer.own.pan)
    return dataclasses.replace(
        layer, own=dataclasses.replace(layer.own, pan=pan, shake=0.3)
    )


@dataclasses.dataclass(frozen=True)
class Score:
    """Of one frame, or means.

    Attributes:
      ours: IoU of our mask, ignored cells aside.
      strict: IoU of our mask with ignored cells taken for background.
      plain: IoU of the motion_baseline.
      false: share of all cells that ours wrongly has as foreground.
      plain_false: share that the baseline has.
      ignored: share of ignored cells.
    """

    ours: float
    strict: float
    plain: float
    false: float
    plain_false: float
    ignored: float


def score(mask, first, second, truth):
    """The `Score` of one frame.

    Args:
      mask: ours, uint8 [H / 8, W / 8].
      first, second: the frame and the next, which the baseline sees.
      truth: bool [H, W], what moves in `first`.
    """
    truth = scenes.cell_truth(truth)
    plain = motion_baseline.mask(first, second)
    return Score(
        ours=scenes.iou(mask, truth),
        strict=scenes.iou(mask * (mask == 1), truth),
        plain=scenes.iou(plain, truth),
        false=np.mean((mask == 1) & ~truth),
        plain_false=np.mean((plain == 1) & ~truth),
        ignored=np.mean(mask == 255),
    )


def score_scene(scene):
    """The `Score` of a scene's first frame."""
    images, truths = scenes.render(scene, LENGTH + 1)
    (frame,) = masks.label_frames(enumerate(images), [0], LENGTH)
    return score(frame.mask, images[0], images[1], truths[0])


def score_video(path, truth_path, samples=3):
    """`Score`s of frames spread over a video of 320x240.

    Args:
      path: the video.
      truth_path: .npz file with `moving`, uint8 [frames, H, W].
      samples: how many.
    """
    images = dict(video_reading.read_frames(path))
    with np.load(truth_path) as stored:
        truths = stored["moving"] > 0
    starts = video_conversion.sample_starts(len(images), LENGTH, samples)
    labelled = masks.label_frames(images.items(), starts, LENGTH)
    return [
        score(f.mask, f.image, images[f.index + 1], truths[f.index]) for f in labelled
    ]


def world_scores(world):
    """`Score`s of frames of all videos of a world."""
    found = []
    for name in sorted(os.listdir(os.path.join(world, "videos"))):
        truth = os.path.splitext(name)[0] + ".npz"
        found += score_video(
            os.path.join(world, "videos", name),
            os.path.join(world, "videos_truth", truth),
        )
    return found


def mean(scores):
    """The `Score` whose fields are means."""
    return Score(*np.mean([dataclasses.astuple(one) for one in scores], axis=0))


def means(suite):
    """The mean `Score` of the scenes of `suite`."""
    return mean([score_scene(scene) for scene in suite])


SUITES = (moving_objects, slow_objects, large_objects, static_scenes)


def main(argv):
    cv2.setNumThreads(1)
    print(
        "| scenes | IoU | IoU, ignored as background | baseline IoU | false foreground,"
        " of all cells | baseline's | ignored |\n|---|---|---|---|---|---|---|"
    )
    for world in argv:
        scores = world_scores(world)
        _print_row(f"synthetic world, {len(scores)} frames", mean(scores))
    for suite in () if argv else SUITES:
        _print_row(suite.__name__.replace("_", " "), means(suite()))


def _print_row(name, found):
    print(
        f"| {name} | {found.ours:.3f} | {found.strict:.3f} | {found.plain:.3f} | "
        f"{found.false:.1%} | {found.plain_false:.1%} | {found.ignored:.0%} |",
        flush=True,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
