import depth_sets
import numpy as np
import pytest

from eval.nyuv2_depth.config import PRESETS, Config
from eval.settings import resolve

SIZE = (48, 64)


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Folder of a set whose depth is its brightness: 8 photos to train on, 6 to test.

    The latter are the first of the former, to be learned by heart. The second has no
    known depth at all, and the third half of it.
    """
    scenes = {
        split: [depth_sets.scene(number, SIZE) for number in range(count)]
        for split, count in (("train", 8), ("test", 6))
    }
    for pairs in scenes.values():
        pairs[1] = (pairs[1][0], np.zeros(SIZE))
        pairs[2][1][:, ::2] = 0
    folder = tmp_path_factory.mktemp("depth") / "set"
    depth_sets.write_depth_set(folder, scenes)
    return str(folder)


@pytest.fixture(scope="session")
def settings_for(photos):
    """Function (output, fields of Settings, KEY=VALUE texts) -> quick `Settings`."""

    def make(output, *texts, **changes):
        common = {
            "trunk": "random",
            "checkpoint": None,
            "data": photos,
            "lasso": 0.0,
            "seed": 0,
            "mixed_precision": False,
        }
        quick = (
            *("height=48", "width=64", "crop_height=48", "crop_width=48"),
            *("up_projection_1=16", "up_projection_2=8", "up_projection_3=8"),
            *("batch_size=4", "pictures=3"),
        )
        return resolve(
            Config,
            PRESETS,
            preset="tiny",
            overrides=(*quick, *texts),
            output=str(output),
            **{**common, **changes},
        )

    return make
