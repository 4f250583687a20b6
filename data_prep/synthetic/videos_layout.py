"""A folder of videos, and another of what moves in them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from data_prep.media import video_writing
from data_prep.synthetic import renderer, video_scenes
from data_prep.synthetic.arrays import UInt8
from data_prep.synthetic.layout import Job, Layout
from data_prep.synthetic.options import Options
from data_prep.synthetic.renderer import Rendering
from data_prep.synthetic.scene import Scene

_VIDEOS, _TRUTH = "videos", "videos_truth"
_HEIGHT, _WIDTH = 240, 320
_FRAMES_PER_SECOND = 24


class VideosLayout(Layout):
    """videos and videos_truth. Keys: (index,), a job per video."""

    name = "videos"

    def folders(self, options: Options) -> list[str]:
        return [_VIDEOS, _TRUTH] if options.videos else []

    def jobs(self, options: Options) -> list[Job]:
        return [
            Job(self.name, (index,), options.frames) for index in range(options.videos)
        ]

    def make(self, folder: str, options: Options, key: tuple[int, ...]) -> None:
        """Writes videos/video_0000.mp4 and videos_truth/video_0000.npz."""
        random = np.random.default_rng([options.seed, 1, *key])
        scene, camera_path = video_scenes.video_scene(
            random, options.kinds, _HEIGHT, _WIDTH, options.frames
        )
        noise = random.uniform(1.0, 3.0)
        masks, numbers = [], []

        def frames() -> Iterator[UInt8]:
            for frame in range(options.frames):
                camera = camera_path.camera(frame)
                rendering = renderer.render(scene, camera, float(frame))
                masks.append(video_scenes.moving_mask(scene, rendering))
                numbers.append(object_numbers(scene, rendering))
                yield renderer.photograph(rendering.image, random, noise)[..., ::-1]

        (index,) = key
        video = os.path.join(folder, _VIDEOS, f"video_{index:04d}.mp4")
        video_writing.write(video, frames(), _FRAMES_PER_SECOND)
        truth = os.path.join(folder, _TRUTH, f"video_{index:04d}.npz")
        np.savez_compressed(truth, moving=np.stack(masks), objects=np.stack(numbers))

    def finish(self, folder: str, options: Options) -> None:
        """The jobs write everything."""


def object_numbers(scene: Scene, rendering: Rendering) -> UInt8:
    """Numbers the visible objects from 1: uint8 [H, W], 0 for the room and furniture."""
    objects = [index for index, placed in enumerate(scene.objects) if placed.kind]
    # The last entry is the room's, whose index is -1.
    numbers = np.zeros(len(scene.objects) + 1, np.uint8)
    numbers[objects] = np.arange(1, len(objects) + 1)
    return numbers[rendering.object_index]
