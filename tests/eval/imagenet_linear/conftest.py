import dataclasses

import labelled_photos
import numpy as np
import pytest

from eval.imagenet_linear.config import PRESETS, Config
from eval.settings import resolve

CLASSES = len(labelled_photos.CLASSES)


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Folder of a set of 6 classes: 72 photos to train on, 30 to validate."""
    folder = tmp_path_factory.mktemp("labelled") / "set"
    splits = {
        "train": list(np.arange(72) % CLASSES),
        "validation": list(np.arange(30) % CLASSES),
    }
    return labelled_photos.write(folder, splits)


@pytest.fixture(scope="session")
def settings_for(photos):
    """Function (output, lasso=..., fields of Config) -> quick `Settings` of a tiny run."""

    def make(output, lasso=0.0, trunk="random", data=photos, **changes):
        config = {
            "steps": 12,
            "batch_size": 8,
            "image_size": 48,
            "statistics_images": 32,
            "neighbours": 3,
            "held_out_share": 0.2,
            **changes,
        }
        settings = resolve(
            Config,
            PRESETS,
            preset="tiny",
            trunk=trunk,
            checkpoint=None,
            data=data,
            output=str(output),
            lasso=lasso,
            seed=0,
            mixed_precision=False,
        )
        made = dataclasses.replace(settings.config, **config)
        return dataclasses.replace(settings, config=made)

    return make
