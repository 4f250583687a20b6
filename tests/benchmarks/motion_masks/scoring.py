"""Scores motion masks and the baseline against the ground truth."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from data_prep.media import video_reading
from data_prep.sources import video_conversion
from data_prep.trajectories import masks
from tests.benchmarks.motion_masks import baseline
from tests.data_prep.trajectories import scenes
from tests.data_prep.trajectories.scenes import Scene

# Frame pairs for a mask.
LENGTH = 10


@dataclasses.dataclass(frozen=True)
class Score:
    """The score of a frame, or the mean of several.

    Attributes:
      iou: intersection over union of the mask, without the ignored cells.
      strict_iou: the same, with ignored cells as background.
      baseline_iou: the same of the baseline.
      false: share of all cells that the mask wrongly marks as foreground.
      baseline_false: the same of the baseline.
      ignored: share of ignored cells.
    """

    iou: float
    strict_iou: float
    baseline_iou: float
    false: float
    baseline_false: float
    ignored: float


def score(
    mask: npt.NDArray[np.uint8],
    first: npt.NDArray[np.uint8],
    second: npt.NDArray[np.uint8],
    truth: npt.NDArray[np.bool_],
) -> Score:
    """Scores a mask.

    Args:
      mask: uint8 [H / 8, W / 8], to be scored.
      first, second: uint8 [H, W, 3], the frame and the next, for the baseline.
      truth: bool [H, W], what moves in `first`.
    """
    truth = scenes.cell_truth(truth)
    simple = baseline.mask(first, second)
    return Score(
        iou=scenes.iou(mask, truth),
        strict_iou=scenes.iou(mask * (mask == 1), truth),
        baseline_iou=scenes.iou(simple, truth),
        false=float(np.mean((mask == 1) & ~truth)),
        baseline_false=float(np.mean((simple == 1) & ~truth)),
        ignored=float(np.mean(mask == 255)),
    )


def score_scene(scene: Scene) -> Score:
    """Scores the first frame of a scene."""
    images, truths = scenes.render(scene, LENGTH + 1)
    (frame,) = masks.label_frames(enumerate(images), [0], LENGTH)
    return score(frame.mask, images[0], images[1], truths[0])


def score_video(path: str, truth_path: str, samples: int = 3) -> list[Score]:
    """Scores frames spread over a video of 320x240.

    Args:
      path: the video.
      truth_path: .npz file with `moving`, uint8 [frames, H, W].
      samples: number of frames.
    """
    images = dict(video_reading.read_frames(path))
    with np.load(truth_path) as stored:
        truths = stored["moving"] > 0
    # Any constant frame rate spreads the samples evenly.
    times = np.arange(len(images)) / 25
    starts = video_conversion.sample_starts(times, LENGTH, samples)
    labelled = masks.label_frames(images.items(), starts, LENGTH)
    return [
        score(f.mask, f.image, images[f.index + 1], truths[f.index]) for f in labelled
    ]


def score_world(world: str) -> list[Score]:
    """Scores frames of all videos in a folder of `data_prep.synthetic`."""
    scores = []
    for name in sorted(os.listdir(os.path.join(world, "videos"))):
        truth = f"{os.path.splitext(name)[0]}.npz"
        scores += score_video(
            os.path.join(world, "videos", name),
            os.path.join(world, "videos_truth", truth),
        )
    return scores


def mean(scores: Iterable[Score]) -> Score:
    """The mean of each field."""
    return Score(*np.mean([dataclasses.astuple(each) for each in scores], axis=0))


def mean_of_suite(suite: Iterable[Scene]) -> Score:
    """The mean score of some scenes."""
    return mean(score_scene(scene) for scene in suite)
