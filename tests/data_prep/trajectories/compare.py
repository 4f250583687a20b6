"""Compares motion masks with the plain baseline on constructed scenes.

    python -m tests.data_prep.trajectories.compare

prints the table in docs/trajectories.md.
"""

import dataclasses

import numpy as np

from data_prep.trajectories import masks
from tests.data_prep.trajectories import baseline, scenes
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
    """Of one scene.

    Attributes:
      ours: IoU of our mask, ignored cells aside.
      strict: IoU of our mask with ignored cells taken for background.
      plain: IoU of the baseline.
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


def score(scene):
    """Renders a scene and returns the `Score` of its first frame's masks."""
    images, truths = scenes.render(scene, LENGTH + 1)
    truth = scenes.cell_truth(truths[0])
    (frame,) = masks.labelled_frames(enumerate(images), [0], LENGTH)
    plain = baseline.mask(images[0], images[1])
    return Score(
        ours=scenes.iou(frame.mask, truth),
        strict=scenes.iou(frame.mask * (frame.mask == 1), truth),
        plain=scenes.iou(plain, truth),
        false=np.mean((frame.mask == 1) & ~truth),
        plain_false=np.mean((plain == 1) & ~truth),
        ignored=np.mean(frame.mask == 255),
    )


def means(suite):
    """The `Score` whose fields are means over the scenes of `suite`."""
    scores = [dataclasses.astuple(score(scene)) for scene in suite]
    return Score(*np.mean(scores, axis=0))


def main():
    for suite in (moving_objects, slow_objects, large_objects, static_scenes):
        found = dataclasses.asdict(means(suite()))
        print(suite.__name__, {name: round(float(x), 3) for name, x in found.items()})


if __name__ == "__main__":
    main()
