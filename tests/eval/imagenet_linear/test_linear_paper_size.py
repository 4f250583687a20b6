"""The paper's sizes really run: slow, some GB of memory."""

import dataclasses
import resource

import numpy as np
import pytest
import tensorflow as tf

from eval.imagenet_linear import dataset, photo_streams
from eval.imagenet_linear.classifier import LinearClassifiers
from eval.imagenet_linear.config import Config
from eval.settings import Settings
from eval.trunk_features import trunk_input
from selfsup.data import pipeline
from selfsup.trunk.batch_norm_recalibration import recalibrate_batch_norm
from selfsup.trunk.resnet_v2 import Trunk, TrunkConfig

IMAGENET_CLASSES = 1000


@pytest.mark.slow
@pytest.mark.parametrize("lasso", [0.0, 0.01])
def test_the_paper_preset_takes_a_step(photos, lasso):
    config = dataclasses.replace(Config(), batch_size=8)
    settings = Settings(
        "random", None, photos, "", "paper", "101", lasso, 0, False, config
    )
    labelled = dataset.find(photos)
    trunk = Trunk(TrunkConfig(depth="101", output_stride=config.output_stride))
    model = LinearClassifiers(trunk, IMAGENET_CLASSES, settings)
    assert model.features.size == 9216
    kernel, _ = model.weights()
    rates = len(config.learning_rates)
    assert np.prod(kernel.shape) == 9216 * IMAGENET_CLASSES * rates
    (batch,) = photo_streams.sample(labelled.train, config.image_size, 8, 8, seed=0)
    images = trunk_input(batch["image"])
    recalibrate_batch_norm(trunk, [images], output_stride=config.output_stride)
    model.features.measure([images])
    examples = photo_streams.TrainingPhotos(config)
    batches = pipeline.training_batches(examples, labelled.train, 0, 0, 8)
    examples, _ = pipeline.split_replaced_shard(next(iter(batches)))
    logs = model.step(examples, tf.constant(0))
    assert float(logs["cross_entropy"]) == pytest.approx(np.log(IMAGENET_CLASSES))
    assert np.any(kernel.numpy())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"lasso {lasso}: peak memory {peak:.1f} GiB")
