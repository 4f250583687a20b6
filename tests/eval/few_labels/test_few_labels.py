"""Fine-tuning on few labels: the choice of photos, the course of the shares, a run."""

from __future__ import annotations

import os

import labelled_photos
import numpy as np
import pytest
import tensorflow as tf

from eval import evaluation_run, metrics_file, output_folder, trunks
from eval.few_labels import subsets
from eval.few_labels.classifier import Classifier, Trainer
from eval.few_labels.config import PRESETS, Config
from eval.few_labels.evaluation import FewLabels
from eval.imagenet_linear import dataset
from eval.settings import resolve
from eval.training import Training
from eval.trunk_features import TrunkFeatures
from selfsup.common.errors import UserError
from selfsup.common.stop_signals import StopSignals
from selfsup.data import pipeline

QUICK = (
    *("batch_size=4", "image_size=48", "batch_norm_images=8", "min_crop_area=1"),
    *("shares=[0.1, 0.5, 1]", "epochs=[1, 1, 1]", "min_steps=2"),
)
LABELS = list(np.arange(40) % 4)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Folder of a set of four classes with ten training photos each."""
    folder = tmp_path_factory.mktemp("photos") / "set"
    splits = {"train": LABELS, "validation": LABELS[:12]}
    return labelled_photos.write(folder, splits, labelled_photos.CLASSES[:4])


def _settings(photos, output, *texts, **changes):
    common = {"trunk": "random", "checkpoint": None, "lasso": 0.0, "seed": 0}
    return resolve(
        Config,
        PRESETS,
        preset="tiny",
        overrides=(*QUICK, *texts),
        data=str(photos),
        output=str(output),
        mixed_precision=False,
        **{**common, **changes},
    )


def _keys(count):
    return [b"%05d" % number for number in range(count)]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 1.0])
def test_shares_are_stratified(share):
    """Classes of 3, 100 and 1,000 photos."""
    labels = np.repeat([0, 1, 2], [3, 100, 1000])
    np.random.default_rng(0).shuffle(labels)
    chosen = subsets.choose(_keys(1103), labels, share, seed=0)
    counts = np.bincount(labels[chosen], minlength=3).tolist()
    assert counts == [max(1, round(share * n)) for n in (3, 100, 1000)]


def test_smaller_shares_are_parts_of_larger_shares():
    labels = np.arange(600) % 6
    masks = [subsets.choose(_keys(600), labels, share, 0) for share in (0.01, 0.1, 0.5)]
    assert np.all(masks[0] <= masks[1])
    assert np.all(masks[1] <= masks[2])


def test_the_choice_depends_on_the_seed_and_the_keys_only():
    keys, labels = _keys(300), np.arange(300) % 3
    first = subsets.choose(keys, labels, 0.1, 0)
    order = np.random.default_rng(0).permutation(300)
    again = subsets.choose([keys[i] for i in order], labels[order], 0.1, 0)
    assert np.array_equal(again, first[order])
    assert not np.array_equal(subsets.choose(keys, labels, 0.1, 1), first)


def test_copies_hold_the_chosen_photos(photos, tmp_path):
    labelled = dataset.find(photos)
    sources = subsets.make(labelled, str(tmp_path), (0.1, 0.5, 1.0), seed=0)
    assert [source.records for source in sources] == [4, 20, 40]
    assert sources[2] is labelled.train
    keys, labels = subsets.read_labels(labelled)
    for source, share in zip(sources, (0.1, 0.5)):
        chosen = subsets.choose(keys, labels, share, 0)
        stream = pipeline.one_pass(source).map(
            lambda record: pipeline.parse(record, ("label",))
        )
        copied = {(row["key"], row["label"]) for row in stream.as_numpy_iterator()}
        pairs = zip(keys, labels, chosen)
        assert copied == {(key, label) for key, label, mine in pairs if mine}
    # A second start reads the copies.
    before = os.stat(sources[0].files[0]).st_mtime_ns
    again = subsets.make(labelled, str(tmp_path), (0.1, 0.5, 1.0), seed=0)
    assert os.stat(again[0].files[0]).st_mtime_ns == before
    subsets.remove(str(tmp_path))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("steps", "photos", "ends"),
    [
        (0, 1_000_000, [9375, 56_250, 525_000]),
        (0, 1000, [200, 400, 869]),
        (28, 7000, [1, 4, 28]),
    ],
)
def test_steps_of_the_shares(steps, photos, ends):
    assert Config(steps=steps).last_steps(photos) == ends


def test_too_few_steps_are_refused():
    with pytest.raises(UserError, match=r"steps=2: too few to train on each of the"):
        Config(steps=2).last_steps(1000)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": (0.1, 0.01, 1.0)}, "shares=.*: expected numbers above 0, up to 1"),
        ({"shares": (0.1, 0.5, 2.0)}, "shares=.*: expected numbers above 0, up to 1"),
        ({"epochs": (1.0,)}, "epochs=.*: expected 3 numbers above 0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0: expected more than 0"),
        ({"output_stride": 32}, "output_stride=32: expected 8 or 16"),
    ],
)
def test_bad_values_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        Config(**changes)


def test_batches_follow_the_shares_from_any_position(photos, tmp_path):
    """Shares of 4, 20 and 40 photos are 2, 5 and 10 steps; resuming changes nothing."""
    made = _settings(photos, tmp_path / "run")
    with StopSignals() as stop, output_folder.opened(made) as folder:
        evaluation = FewLabels(made, folder, stop)
        evaluation.find_data()
        evaluation.before_training()
        assert evaluation.config.steps == 17
        straight = [
            batch["image"].numpy() for batch in evaluation.training_batches(0).take(17)
        ]
        for step in (1, 7):
            batch = next(iter(evaluation.training_batches(4 * step)))
            assert np.array_equal(batch["image"], straight[step])
    # Both batches of the first share have its four photos.
    assert {image.tobytes() for image in straight[0]} == {
        image.tobytes() for image in straight[1]
    }


def _trainer(steps=30, lasso=0.0, weight_decay=0.0):
    loaded = trunks.load(
        "random", checkpoint=None, depth="tiny", output_stride=16, seed=0
    )
    features = TrunkFeatures(loaded.trunk, "few_labels", lasso)
    config = Config(learning_rate=0.05, weight_decay=weight_decay)
    return Trainer(Classifier(features, 3), config, steps, seed=0)


def _examples():
    images = [labelled_photos.photo(f"{n}", 1 + n % 3)[:48, :48] for n in range(6)]
    labels = tf.constant([0, 1, 2, 0, 1, 2], tf.int64)
    return {"image": tf.constant(np.stack(images)), "label": labels}


def test_the_loss_starts_at_chance_and_falls():
    trainer, examples = _trainer(), _examples()
    losses = [
        float(trainer.step(examples, tf.constant(number))["loss"])
        for number in range(15)
    ]
    assert losses[0] == pytest.approx(np.log(3), rel=1e-5)
    assert losses[-1] < 0.5 * losses[0]


def test_every_share_has_a_trunk_of_its_own():
    loaded = trunks.load(
        "random", checkpoint=None, depth="tiny", output_stride=16, seed=0
    )
    copy = trunks.copy(loaded.trunk)
    images = tf.random.stateless_uniform([1, 32, 32, 3], [0, 0])
    before = loaded.trunk(images).numpy()
    np.testing.assert_array_equal(copy(images), before)
    for variable in copy.trainable_variables:
        variable.assign_add(tf.ones_like(variable))
    np.testing.assert_array_equal(loaded.trunk(images), before)


def test_the_penalty_has_all_kernels_and_the_lasso():
    trainer = _trainer(lasso=0.5, weight_decay=0.01)
    kernels = trainer.classifier.kernels()
    squares = sum(float(tf.reduce_sum(kernel**2)) for kernel in kernels)
    units = trainer.classifier.features.trunk.num_units
    expected = 0.01 * 0.5 * squares + 0.5 * units**0.5
    assert float(trainer._penalty()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_it_learns_and_resumes(photos, tmp_path, monkeypatch):
    """More labels give more accuracy; a run stopped in its second share equals another."""
    texts = ("epochs=[40, 20, 20]", "learning_rate=0.1")
    straight = evaluation_run.run(
        FewLabels, _settings(photos, tmp_path / "a", *texts)
    ).metrics
    measured = straight["metrics"]
    assert straight["details"]["photos"] == [4, 20, 40]
    assert straight["details"]["steps"] == [40, 100, 200]
    assert measured["percent_100_top1"] > 0.6
    assert measured["percent_100_top1"] > measured["percent_10_top1"]
    assert measured["few_labels_top1"] == measured["percent_10_top1"]
    assert straight["details"]["chance"]["top1"] == 0.25
    pictures = os.listdir(tmp_path / "a" / "pictures")
    assert {"accuracy.png", "curves.png", "predictions.png"} <= set(pictures)
    assert not os.path.exists(tmp_path / "a" / subsets.FOLDER)

    take = Training._take

    def stopping(self, batch):
        if self.number == 60:
            os.kill(os.getpid(), 15)
        take(self, batch)

    settings = _settings(photos, tmp_path / "b", *texts)
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_take", stopping)
        assert evaluation_run.run(FewLabels, settings).stopped_by == "SIGTERM"
    assert not os.path.exists(tmp_path / "b" / metrics_file.FILE_NAME)
    resumed = evaluation_run.run(FewLabels, settings).metrics["metrics"]
    assert resumed == pytest.approx(measured, rel=1e-5)
