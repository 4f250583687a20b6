"""Checks the synthetic sets and the rates of the input benchmark."""

from __future__ import annotations

import dataclasses

import pytest
import tensorflow as tf

from selfsup.data import manifest, pipeline, records
from selfsup.tasks import task_class
from tests.benchmarks.input import speed


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[manifest.Manifest]:
    """The synthetic sets."""
    folder = str(tmp_path_factory.mktemp("synthetic") / "sets")
    speed.write_synthetic(folder)
    return manifest.find(folder)


def test_synthetic_photos_have_the_size_of_photos(
    sets: list[manifest.Manifest],
) -> None:
    photos, frames = (
        pipeline.select_sets(f, sets) for f in (("image",), ("motion_mask",))
    )
    for chosen, size, kilobytes in (
        (photos, (375, 500), 110),
        (frames, (240, 320), 50),
    ):
        source = pipeline.DatasetSplit(chosen, "train")
        (serialized,) = pipeline.one_pass(source).take(1)
        assert records.parse(serialized, ("image",))["image"].shape == (*size, 3)
        assert source.records == 512 and source.damaged == ()
        assert len(serialized.numpy()) == pytest.approx(1000 * kilobytes, rel=0.25)


@pytest.mark.parametrize("name", ["exemplar", "motion_segmentation"])
def test_all_rates_are_measured(sets: list[manifest.Manifest], name: str) -> None:
    task = task_class(name)()
    task = type(task)(dataclasses.replace(task.config, batch_size=4))
    source = pipeline.DatasetSplit(pipeline.select_sets(task.features, sets), "train")
    rates = speed.measure(task, source, threads=2, images=16, rounds=3)
    values = tf.constant(dataclasses.astuple(rates))
    assert tf.reduce_all(tf.math.is_finite(values) & (values > 0))
