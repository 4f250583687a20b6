"""A folder of videos, and beside it the truth about what moves in them."""

import os

import numpy as np

from data_prep.media import video_writing
from data_prep.synthetic import films, renderer

VIDEOS, TRUTH = "videos", "videos_truth"
HEIGHT, WIDTH = 240, 320
_FRAMES_PER_SECOND = 24


def folders(options):
    """Folders that `make` writes into."""
    return [VIDEOS, TRUTH] if options.videos else []


def jobs(options):
    """The videos to make: (index, pictures in it)."""
    return [(index, options.frames) for index in range(options.videos)]


def make(folder, options, index):
    """Writes videos/video_0000.mp4 and videos_truth/video_0000.npz."""
    random = np.random.default_rng([options.seed, 1, index])
    scene, work = films.film_scene(
        random, options.classes, HEIGHT, WIDTH, options.frames
    )
    noise = random.uniform(1.0, 3.0)
    name = f"video_{index:04d}"
    path = os.path.join(folder, VIDEOS, f"{name}.mp4")
    masks, things = [], []

    def pictures():
        for frame in range(options.frames):
            rendering = renderer.render(scene, work.camera(frame), float(frame))
            masks.append(films.moving_mask(scene, rendering))
            things.append(object_numbers(scene, rendering))
            yield renderer.photograph(rendering.image, random, noise)[..., ::-1]

    video_writing.write(path, pictures(), _FRAMES_PER_SECOND)
    np.savez_compressed(
        os.path.join(folder, TRUTH, f"{name}.npz"),
        moving=np.stack(masks),
        objects=np.stack(things),
    )


def finish(folder, options):
    """Nothing is left to do after the jobs."""


def object_numbers(scene, rendering):
    """uint8 [H, W]: 0 for the room, 1, 2, ... for its objects in order."""
    objects = [index for index, thing in enumerate(scene.things) if thing.kind]
    numbers = np.zeros(len(scene.things) + 1, np.uint8)
    numbers[objects] = np.arange(1, len(objects) + 1)
    return numbers[rendering.thing]
